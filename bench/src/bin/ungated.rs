//! `keygate proxy` without its gate, on one thread: `ungated 127.0.0.1:8000 127.0.0.1:3000`.

use axum::http::request::Parts;
use keygate_server::proxy::{Proxy, serve};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (listen, upstream) = args.next().zip(args.next()).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let proxy = Proxy::to(format!("http://{upstream}").parse()?);
        let guard = |_: &mut Parts, _| Ok(());
        serve(listener, proxy, guard, std::future::pending()).await;
        Ok(())
    })
}

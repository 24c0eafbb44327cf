//! The demo's cache: a stand-in of a hundred lines for Varnish, so that the demo needs nothing installed. It keeps each
//! page until it is purged by a surrogate key, in the protocol of `deploy/varnish/keygate.vcl`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// The surrogate key of every page.
pub(super) const KEY: &str = "front";

/// Pages by host: which printing of the page is kept, if any, and how many there were.
#[derive(Default)]
struct Pages(Mutex<HashMap<String, Page>>);

#[derive(Default)]
struct Page {
    kept: bool,
    printings: u32,
}

/// Starts it on a free port of this machine, for as long as the process lives.
pub(super) async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let router = Router::new().fallback(answer).with_state(Arc::new(Pages::default()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn answer(State(pages): State<Arc<Pages>>, request: Request) -> Response {
    let header = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let mut pages = pages.0.lock().unwrap_or_else(PoisonError::into_inner);
    if request.method().as_str() == "PURGE" {
        let entries = header(request.headers(), "keygate-purge-keys");
        let hosts = entries.split(' ').filter_map(|entry| entry.split_once('/'));
        let hosts = hosts.filter(|(_, key)| [KEY, ""].contains(key)).map(|(host, _)| host);
        let mut drop_page =
            |host: &str| pages.get_mut(host).is_some_and(|page| std::mem::take(&mut page.kept));
        let purged = hosts.filter(|host| drop_page(host)).count();
        return ([("keygate-purged", purged.to_string())], "").into_response();
    }
    let page = pages.entry(header(request.headers(), header::HOST.as_str())).or_default();
    let hit = std::mem::replace(&mut page.kept, true);
    page.printings += u32::from(!hit);
    ([("x-cache", if hit { "HIT" } else { "MISS" })], format!("front page, printing {}", page.printings))
        .into_response()
}

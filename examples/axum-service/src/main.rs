//! A service of orders with the gate in its own process: no proxy, no second hop.
//!
//! ```console
//! $ keygate policy apply examples/axum-service/orders.toml --db sqlite:keygate.db
//! $ cargo run -p keygate-example-axum-service -- keygate.db 127.0.0.1:3000
//! $ curl -H "Fastly-Key: $TOKEN" http://localhost:3000/orders/17
//! ```
//!
//! `keygate serve` may run on the same database at the same time: what is revoked there is refused here within a fraction
//! of a second.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{ConnectInfo, Path},
    routing::{get, post},
};
use keygate_authority::{Authority, Settings, usage::Mark};
use keygate_gate::{Caller, Gate, GateLayer};
use keygate_model::{Policy, Timestamp, policy::OWN_POLICY, token::Brand};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let db: PathBuf = args.next().context("Which database? Give the path of keygate.db")?.into();
    let listen: SocketAddr = args.next().unwrap_or_else(|| "127.0.0.1:3000".to_owned()).parse()?;

    // The gate hears of everything from the authority, which reads it from the database.
    let policy = Arc::new(Policy::compile(OWN_POLICY)?);
    let gate = Arc::new(Gate::new(Arc::clone(&policy), 0));
    let fed = Arc::clone(&gate);
    let settings = Settings::new(&db, policy, entropy()?);
    let authority = Authority::open(settings, Box::new(move |batch| fed.apply(batch)))?;
    gate.open();

    let layer = GateLayer::new(Arc::clone(&gate), Brand::default(), now)
        .client_from(|extensions| extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip()));
    let service = Router::new()
        .route("/orders/{order}", get(show))
        .route("/orders", post(create))
        .layer(layer)
        .into_make_service_with_connect_info::<SocketAddr>();

    let listener = tokio::net::TcpListener::bind(listen).await?;
    println(&format!("listening on {}", listener.local_addr()?));
    tokio::select! {
        served = axum::serve(listener, service) => served?,
        () = keep_marks(&gate, &authority) => {}
    }
    Ok(())
}

/// What the gate let through has a caller.
async fn show(caller: axum::Extension<Caller>, Path(order): Path<String>) -> Json<[String; 2]> {
    Json([order, format!("{:?}", caller.actor)])
}

async fn create(caller: axum::Extension<Caller>) -> Json<[String; 2]> {
    Json(["made".to_owned(), caller.role.to_string()])
}

/// Notes when tokens were used last, for whoever wants to know which are not.
async fn keep_marks(gate: &Gate, authority: &Authority) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let stored = gate.take_marks(2000).into_iter().map(|mark| Mark {
            token: mark.token,
            at: mark.at,
            ip: mark.ip.map_or_else(String::new, |ip| ip.to_string()),
            user_agent: mark.user_agent.into_string(),
        });
        if authority.mark(stored.collect()).await.is_err() {
            println("marks of use could not be written");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of this program")]
fn now() -> Timestamp {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
}

/// For the key file, if there is none yet.
#[expect(clippy::disallowed_methods, reason = "the one generator of this program")]
fn entropy() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| anyhow::anyhow!("no random bytes to be had"))?;
    Ok(bytes)
}

#[expect(clippy::print_stdout, reason = "this is a program")]
fn println(text: &str) {
    println!("{text}");
}

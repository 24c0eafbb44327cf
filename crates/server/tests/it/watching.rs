//! Numbers, readiness, and that what is shipped for looking at them speaks of numbers that there are.

mod numbers;
mod ready;

use keygate_model::PolicyId;
use keygate_server::{serve::serve, ways::Doorway};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::house::{Caller, House};

/// A policy with two routes.
const SHOP: &str = r#"
name = "shop"
hosts = ["shop.test"]
customers = "all"

[actions]
"shop:read" = { read = true }

[scopes]
"shop:read" = ["shop:read"]

[roles]
"engineer" = ["shop:read"]

[routes]
"GET /orders" = { action = "shop:read" }
"GET /orders/{id}" = { action = "shop:read" }
"#;

/// The listeners of a server beside that of the house, on the same app.
struct Watched {
    /// The API and every way in.
    doors: Caller,
    /// For those who watch.
    admin: Caller,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Watched {
    async fn new(house: &House) -> Self {
        let doors = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let admin = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let callers =
            [&doors, &admin].map(|listener| Caller::anon(listener.local_addr().expect("an address")));
        let [doors_at, admin_at] = callers;
        let doorways = vec![(doors.into(), Doorway::everything()), (admin.into(), Doorway::admin())];
        let (stop, stopped) = oneshot::channel::<()>();
        let app = std::sync::Arc::clone(&house.node.app);
        let serving = tokio::spawn(serve(doorways, app, async {
            drop(stopped.await);
        }));
        Self { doors: doors_at, admin: admin_at, stop, serving }
    }

    async fn metrics(&self) -> String {
        let reply = self.admin.get("/metrics").await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }
}

async fn apply_shop(house: &House) {
    let app = &house.node.app;
    let id = PolicyId::from_bytes([7; 16]);
    app.authority.apply_policy(&app.local_origin(), id, SHOP.to_owned()).await.expect("a policy");
}

/// A sample's value. None: there is no such sample.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().expect("a number"))
}

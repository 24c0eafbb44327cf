//! A post: a gate without a database, with what it answers beside the ways in.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use keygate_gate::{
    Client, Decided, Identity,
    follow::Follower,
    http::{credential, user_agent},
};
use keygate_model::{Actor, Ask, Expiry, Method, Path, Verdict, token::Presented};
use serde_json::{Value, json};

use crate::{
    api::health::{live, told},
    door::ClientIp,
    error::Problem,
    front::Front,
    json::time,
    metrics::{Format, page::gate_page},
    readiness::Readiness,
    serve::{Listener, serve_front},
    ways::Doorway,
};

/// How often marks of use are taken: nobody writes them for a gate yet.
const MARKS_EVERY: Duration = Duration::from_secs(1);

/// It.
pub(crate) struct Post {
    pub(crate) front: Arc<Front>,
    pub(crate) follower: Arc<Follower>,
}

type Here = State<Arc<Post>>;

impl Post {
    /// Serves, and follows, until `stop` is done.
    pub(crate) async fn serve(
        self: Arc<Self>,
        doorways: Vec<(Listener, Doorway)>,
        stop: impl Future<Output = ()>,
    ) {
        let ending = async {
            tokio::select! {
                () = stop => {}
                () = self.follower.follow() => {}
                () = self.keep_dropping_marks() => {}
            }
            self.front.begin_to_stop();
        };
        serve_front(doorways, Arc::clone(&self.front), (self.api(), self.admin()), ending).await;
    }

    async fn keep_dropping_marks(&self) {
        loop {
            tokio::time::sleep(MARKS_EVERY).await;
            drop(self.front.gate.take_marks(usize::MAX));
        }
    }

    /// What stands at `--listen`.
    fn api(self: &Arc<Self>) -> Router {
        let router = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .route("/verify", get(verify))
            .fallback(async || Problem::kept_elsewhere());
        router.with_state(Arc::clone(self))
    }

    /// What stands at `--admin`.
    fn admin(self: &Arc<Self>) -> Router {
        let router = Router::new()
            .route("/livez", get(live))
            .route("/readyz", get(ready_in_detail))
            .route("/healthz", get(ready_in_detail))
            .route("/metrics", get(counters));
        router.with_state(Arc::clone(self))
    }

    fn readiness(&self) -> Readiness {
        Readiness::of_gate(&self.front, &self.follower)
    }
}

async fn ready(State(post): Here) -> (StatusCode, Json<Value>) {
    told(&post.readiness(), false)
}

async fn ready_in_detail(State(post): Here, RawQuery(query): RawQuery) -> (StatusCode, Json<Value>) {
    let verbose =
        form_urlencoded::parse(query.unwrap_or_default().as_bytes()).any(|(name, _)| name == "verbose");
    told(&post.readiness(), verbose)
}

/// The counters, for whoever stands on this machine.
async fn metrics(
    State(post): Here,
    Extension(client): Extension<ClientIp>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if !client.0.is_some_and(|ip| ip.to_canonical().is_loopback()) {
        return Err(Problem::missing("endpoint", "metrics"));
    }
    Ok(counters(State(post), headers).await)
}

async fn counters(State(post): Here, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    let text = gate_page(&post.front, &post.follower, &post.readiness(), format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

/// Who asks, as far as a gate knows: of what a node answers, the part without names.
async fn verify(
    State(post): Here,
    Extension(ClientIp(ip)): Extension<ClientIp>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let Front { gate, brand, clock, .. } = &*post.front;
    let refused = |deny| Problem::denied(deny, &gate.policy());
    let secret = credential(&headers).map_err(refused)?;
    let secret = Presented::parse(secret, brand, gate.foreign())
        .map_err(|why| refused(keygate_model::Deny::Malformed(why)))?;
    let ask = Ask { host: None, method: Method::Get, path: Path::new("/verify"), secret: Ok(secret) };
    let client = Client { ip, user_agent: user_agent(&headers, brand) };
    let Decided { verdict, seen, .. } = gate.authorize_with(&ask, client, clock.now(), shown);
    match (verdict, seen) {
        (Verdict::Allow(_), Some(shown)) => Ok(Json(shown)),
        (Verdict::Deny(deny), _) => Err(refused(deny)),
        (Verdict::CannotTell(unsure), _) => Err(Problem::unsure(unsure)),
        (Verdict::Allow(_), None) => Err(Problem::no_caller()),
    }
}

fn shown(identity: &Identity<'_>) -> Value {
    let Actor::Token { token, customer, user } = identity.actor else { return Value::Null };
    let expires_at = match identity.expires {
        Expiry::At(at) => Some(time(at)),
        Expiry::Never => None,
    };
    json!({
        "customer": { "id": customer },
        "user": { "id": user, "role": identity.role },
        "token": { "id": token, "scope": identity.scopes, "expires_at": expires_at },
    })
}

//! A post: a gate without a database, with what it answers beside the ways in.

mod state;

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

/// How often what a post knows is kept, and the position it is at.
const KEPT_EVERY: Duration = Duration::from_secs(300);
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// It.
pub(crate) struct Post {
    pub(crate) front: Arc<Front>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) state: Option<Arc<Kept>>,
}

pub(crate) use state::State as Kept;

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
                () = self.keep_following() => {}
            }
            self.front.begin_to_stop();
        };
        self.answer(doorways, ending).await;
        self.keep().await;
    }

    /// Follows, for as long as it is polled.
    pub(crate) async fn keep_following(&self) {
        tokio::join!(self.follower.follow(), self.keep_dropping_marks(), self.keep_keeping());
    }

    /// Answers there until `ending` is done.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        doorways: Vec<(Listener, Doorway)>,
        ending: impl Future<Output = ()>,
    ) {
        serve_front(doorways, Arc::clone(&self.front), (self.api(), self.admin()), ending).await;
    }

    /// Takes up what was kept, before anything is followed.
    pub(crate) fn take_up(&self) {
        let Some(state) = &self.state else { return };
        let past = state.past().unwrap_or_default();
        let kept = state.load(&self.front.gate, past.high, self.front.clock.now()).unwrap_or_else(|why| {
            tracing::warn!(error = %why, "what was kept is of no use: everything is to be told anew");
            None
        });
        if let Some((_, place)) = &kept {
            tracing::info!(position = place.position.0, "goes on from what was kept");
        }
        self.follower.begin_with(kept, past);
    }

    async fn keep_keeping(&self) {
        let (mut noted, mut since) = (self.follower.past(), Duration::ZERO);
        loop {
            tokio::time::sleep(NOTED_EVERY).await;
            since += NOTED_EVERY;
            if since >= KEPT_EVERY {
                since = Duration::ZERO;
                self.keep().await;
            }
            let past = self.follower.past();
            if past != noted
                && let Some(state) = &self.state
            {
                noted.clone_from(&past);
                let state = Arc::clone(state);
                kept(tokio::task::spawn_blocking(move || state.note(&past)).await);
            }
        }
    }

    /// Keeps what is known, if it is known where to go on from it.
    pub(crate) async fn keep(&self) {
        let Some(state) = self.state.clone() else { return };
        let (gate, now) = (Arc::clone(&self.front.gate), self.front.clock.now());
        let (past, place) = (self.follower.past(), self.follower.place().filter(|_| gate.is_open()));
        let save = move || {
            state.note(&past)?;
            place.map_or(Ok(()), |place| state.save(&gate, &place, now))
        };
        kept(tokio::task::spawn_blocking(save).await);
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

fn kept(written: Result<std::io::Result<()>, tokio::task::JoinError>) {
    match written {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tracing::warn!(error = %why, "what is known could not be kept"),
        Err(why) => tracing::warn!(error = %why, "what is known could not be kept"),
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
    let at_least = post.front.at_least(&headers).await;
    let Front { gate, brand, clock, .. } = &*post.front;
    let refused = |deny| Problem::denied(deny, &gate.policy());
    let secret = credential(&headers).map_err(refused)?;
    let secret = Presented::parse(secret, brand, gate.foreign())
        .map_err(|why| refused(keygate_model::Deny::Malformed(why)))?;
    let at_least = at_least.map_err(refused)?;
    let ask =
        Ask { host: None, method: Method::Get, path: Path::new("/verify"), secret: Ok(secret), at_least };
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

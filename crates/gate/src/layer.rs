//! A `tower` layer: the gate in the same process as the API that it stands before.

use std::{
    fmt,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::Either;
use http::{Extensions, HeaderValue, Request, Response, StatusCode, header};
use keygate_model::{Actor, Deny, Expiry, Timestamp, Verdict, token::Brand};
use tower::{Layer, Service};

use crate::{
    Client, Decided, Gate, Identity,
    http::{Target, ask, status, user_agent},
};

/// Who asks: an extension of every request that the layer lets through. A handler that finds none was mounted outside of
/// it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who. A stranger where the route is public: no credential was looked at.
    pub actor: Actor,
    /// The names of the token's scopes, separated by a space.
    pub scopes: Box<str>,
    /// The role of its owner today.
    pub role: Box<str>,
    /// Until when it is alive.
    pub expires: Expiry,
    /// How old the knowledge is that let it in, where the policy lets in whoever is known although the gate is cut off.
    pub stale: Option<Duration>,
}

/// Lets through what the gate allows, with a [`Caller`] and without the credential, and answers everything else itself:
/// 401, 403 or 400, and 503 where the gate cannot tell, with a small JSON body that names the code.
#[derive(Clone)]
pub struct GateLayer {
    gate: Arc<Gate>,
    brand: Brand,
    clock: Arc<Clock>,
    client: Arc<Locate>,
}

/// Says what time it is.
type Clock = dyn Fn() -> Timestamp + Send + Sync;

/// Says where a request comes from.
type Locate = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

/// A service with a gate before it.
#[derive(Clone)]
pub struct Gated<S> {
    inner: S,
    layer: GateLayer,
}

impl GateLayer {
    /// A layer that asks `gate` for secrets that begin with `brand`, by this clock. Until [`GateLayer::client_from`] says
    /// where clients' addresses are, nobody knows them, and customers with a list of networks are refused.
    #[must_use]
    pub fn new(gate: Arc<Gate>, brand: Brand, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self { gate, brand, clock: Arc::new(clock), client: Arc::new(|_| None) }
    }

    /// Takes the client's address from where the server in front has put it.
    #[must_use]
    pub fn client_from(
        mut self,
        client: impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client = Arc::new(client);
        self
    }

    /// Decides about a request.
    fn decide<B>(&self, request: &Request<B>) -> Result<Caller, (StatusCode, &'static str)> {
        let (headers, uri) = (request.headers(), request.uri());
        let host = headers.get(header::HOST).map(HeaderValue::to_str);
        let host = match (host, headers.get_all(header::HOST).iter().count()) {
            (Some(Ok(host)), 1) => host,
            (None, _) => uri.authority().map_or("", |authority| authority.as_str()),
            _ => "",
        };
        let target = Target {
            host,
            method: request.method().as_str(),
            target: uri.path_and_query().map_or("/", |target| target.as_str()),
            client: (self.client)(request.extensions()),
        };
        let refused = |deny: Deny| (status(deny), deny.code());
        let ask = ask(&self.gate, &self.brand, &target, headers).map_err(refused)?;
        let client = Client { ip: target.client, user_agent: user_agent(headers, &self.brand) };
        let Decided { verdict, seen: caller, .. } =
            self.gate.authorize_with(&ask, client, (self.clock)(), Caller::of);
        match (verdict, caller) {
            (Verdict::Allow(_), Some(caller)) => Ok(caller),
            (Verdict::Deny(deny), _) => Err(refused(deny)),
            (Verdict::CannotTell(unsure), _) => Err((StatusCode::SERVICE_UNAVAILABLE, unsure.code())),
            (Verdict::Allow(_), None) => Err((StatusCode::SERVICE_UNAVAILABLE, "authority_stale")),
        }
    }
}

impl Caller {
    fn of(identity: &Identity<'_>) -> Self {
        let Identity { actor, scopes, role, expires, stale } = *identity;
        Self { actor, scopes: scopes.into(), role: role.into(), expires, stale }
    }
}

impl fmt::Debug for GateLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, layer: self.clone() }
    }
}

impl<S, B, R> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: From<String>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<R>, S::Error>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.layer.decide(&request) {
            Ok(caller) => {
                request.headers_mut().remove("fastly-key");
                request.headers_mut().remove(header::AUTHORIZATION);
                request.extensions_mut().insert(caller);
                Either::Left(self.inner.call(request))
            }
            Err((status, code)) => Either::Right(ready(Ok(refusal(status, code)))),
        }
    }
}

fn refusal<R: From<String>>(status: StatusCode, code: &str) -> Response<R> {
    let body = format!(r#"{{"title":"Refused","status":{},"code":"{code}"}}"#, status.as_u16());
    let mut response = Response::new(R::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        let challenge =
            if code == "credential_missing" { "Bearer" } else { "Bearer error=\"invalid_token\"" };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

//! `keygate proxy`: a reverse proxy with the gate inside, beside a node or following one from afar.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Response, header, request::Parts},
};
use clap::Args;
use futures_util::FutureExt as _;
use keygate_model::{Networks, token::Brand};

use super::{
    Database,
    follow::Follow,
    serve::{listen, listen_at},
};
use crate::{
    api::health::admin_router,
    app::{self, App},
    config::{EVENT_RETENTION_DAYS, Listen, Node},
    edge::{Clock, Rng},
    front::Front,
    metrics::Protocol,
    outbox::Outbox,
    post::Post,
    proxy::{self, Timeouts, Upstream},
    quota::Limits,
    serve::{self, Listener},
    systemd::{self, State},
    ways::{
        Doorway, Way, identity,
        question::{self, Outcome, Target},
        refusal,
    },
};

/// Where to listen, and where to send what passes. `docs/proxy.md` says what is changed on the way.
#[derive(Args)]
pub(super) struct Proxy {
    /// Where what passes is sent: http://, https://, or unix:PATH
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// Proxies in front of this one, whose word about the client is believed: networks, with commas between
    #[arg(long, value_name = "NETWORKS")]
    trusted_proxies: Option<String>,
    /// Whether the upstream sees the client's Host, or its own name
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    preserve_host: bool,
    /// Do not say in Via that requests came through here
    #[arg(long)]
    no_via: bool,
    /// The first part of secrets, if the server has another than kg
    #[arg(long, value_name = "PREFIX")]
    token_prefix: Option<String>,
    /// Seconds from the end of a request to the head of its answer
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::default().answer_seconds)]
    answer_timeout: u32,
    /// Seconds without a byte in the middle of a body
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::default().idle_seconds)]
    idle_timeout: u32,
    /// Seconds without a byte on a WebSocket
    #[arg(long, value_name = "SECONDS", default_value_t = Timeouts::default().tunnel_seconds)]
    tunnel_timeout: u32,
    /// Serve health and counters at an address of their own: /livez, /readyz, /metrics, to whoever can connect
    #[arg(long, env = "KEYGATE_ADMIN", value_name = "ADDRESS")]
    admin: Option<Listen>,
    /// Threads that serve; as many as there are cores unless said
    #[arg(long, value_name = "COUNT")]
    workers: Option<usize>,
    #[command(flatten)]
    follow: Follow,
    #[command(flatten)]
    database: Database,
}

/// What the gate inside knows by.
enum Source {
    /// The database beside it.
    Beside(Arc<App>),
    /// What a node tells.
    Afar(Arc<Post>),
}

impl Proxy {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::log::start("info");
        super::runtime(self.workers)?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let stop = serve::stop_signal()?;
        let (mut proxy, source) = (self.proxy()?, self.source()?);
        let front = source.front();
        let listener = listen(self.listen).await?;
        let (tokens, _) = front.gate.size();
        let (address, nodes) = (listener.local_addr()?, self.follow.nodes());
        tracing::info!(%address, upstream = self.upstream, tokens, nodes, "Keygate stands before the upstream");
        front.metrics.serves(Protocol::Way(Way::Proxy));
        source.tell_systemd();
        let (waiting, guarding) = (Arc::clone(front), Arc::clone(front));
        proxy.pause = Some(Arc::new(move |headers| Some(waiting.catching_up(headers)?.boxed())));
        let guard = move |parts: &mut Parts, client: SocketAddr| admit(&guarding, parts, client);
        let doorways = match self.admin.clone() {
            Some(at) => vec![(listen_at(at).await?, Doorway::admin())],
            None => Vec::new(),
        };
        tokio::select! {
            () = proxy::serve(listener, proxy, guard, stop) => {}
            () = source.keep_up() => {}
            () = source.show(doorways) => {}
        }
        source.end().await;
        tracing::info!("stopped");
        Ok(())
    }

    fn source(&self) -> anyhow::Result<Source> {
        if self.follow.follow.is_empty() {
            return Ok(Source::Beside(self.app()?));
        }
        Ok(Source::Afar(self.follow.post(self.database.policy.as_ref(), self.brand()?)?))
    }

    fn brand(&self) -> anyhow::Result<Brand> {
        Ok(self.token_prefix.as_deref().map(Brand::parse).transpose()?.unwrap_or_default())
    }

    fn proxy(&self) -> anyhow::Result<proxy::Proxy> {
        let upstream = self
            .upstream
            .parse::<Upstream>()
            .with_context(|| format!("The upstream {:?} cannot be used", self.upstream))?;
        let mut proxy = proxy::Proxy::to(upstream);
        proxy.trusted = self.trusted_proxies.as_deref().map(Networks::parse).transpose()?;
        proxy.preserve_host = self.preserve_host;
        proxy.via = !self.no_via;
        proxy.reserved = identity::NAMES.to_vec();
        proxy.timeouts.answer_seconds = self.answer_timeout;
        proxy.timeouts.idle_seconds = self.idle_timeout;
        proxy.timeouts.tunnel_seconds = self.tunnel_timeout;
        Ok(proxy)
    }

    fn app(&self) -> anyhow::Result<Arc<App>> {
        let rng = Rng::System;
        let settings = self.database.settings(&rng)?;
        Ok(App::open(app::Parts {
            settings,
            clock: Clock::steady(),
            rng,
            brand: self.brand()?,
            public_url: None,
            outbox: Outbox::new(None),
            event_retention_days: EVENT_RETENTION_DAYS,
            quota: Limits::default(),
            name: format!("proxy on {}", Node::default().name()),
            lease: keygate_gate::Lease::DEFAULT,
            is_beside: true,
            feed: crate::feed::Settings::default(),
        })?)
    }
}

impl Source {
    fn front(&self) -> &Arc<Front> {
        match self {
            Self::Beside(app) => &app.front,
            Self::Afar(post) => &post.front,
        }
    }

    /// Tells systemd that it serves, and how it is.
    fn tell_systemd(&self) {
        match self {
            Self::Beside(app) => systemd::serving(State::when_asked(app)),
            Self::Afar(post) => systemd::serving(State::of_gate_when_asked(post)),
        }
    }

    /// Learns what changes, for as long as it is polled.
    async fn keep_up(&self) {
        match self {
            Self::Beside(app) => {
                tokio::join!(app.keep_flushing(), app.keep_beating());
            }
            Self::Afar(post) => post.keep_following().await,
        }
    }

    /// Shows health and counters to those who watch, for as long as it is polled: what passes may take long to end.
    async fn show(&self, doorways: Vec<(Listener, Doorway)>) {
        let never = std::future::pending();
        match self {
            _ if doorways.is_empty() => never.await,
            Self::Beside(app) => {
                let routers = (Router::new(), admin_router(Arc::clone(app)));
                serve::serve_front(doorways, Arc::clone(&app.front), routers, never).await;
            }
            Self::Afar(post) => post.answer(doorways, never).await,
        }
    }

    /// Writes what must not be lost.
    async fn end(&self) {
        match self {
            Self::Beside(app) => app.settle_marks().await,
            Self::Afar(post) => post.keep().await,
        }
    }
}

/// Asks the gate about a request, and makes it what the upstream may see: with who calls, and without the credential.
fn admit(front: &Front, parts: &mut Parts, client: SocketAddr) -> Result<(), Box<Response<Body>>> {
    let target = Target {
        host: host(parts),
        method: parts.method.as_str(),
        target: parts.uri.path_and_query().map_or("/", |target| target.as_str()),
        client: Some(client.ip()),
    };
    match question::answer(front, Way::Proxy, &target, &parts.headers) {
        Outcome::Allow(identity) => {
            identity.put(&mut parts.headers);
            parts.headers.remove("fastly-key");
            parts.headers.remove(header::AUTHORIZATION);
            Ok(())
        }
        refused => Err(Box::new(refusal(Way::Proxy, refused))),
    }
}

/// The host that is asked for. Of two, none: the gate refuses that.
fn host(parts: &Parts) -> &str {
    let mut hosts = parts.headers.get_all(header::HOST).iter().map(HeaderValue::to_str);
    match (hosts.next(), hosts.next()) {
        (Some(Ok(host)), None) => host,
        (None, _) => parts.uri.authority().map_or("", |authority| authority.as_str()),
        _ => "",
    }
}

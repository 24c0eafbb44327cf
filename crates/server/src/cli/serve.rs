//! `keygate serve`.

use std::{
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use keygate_authority::epoch::Memory;
use keygate_model::{Host, token::Brand};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::{
    app::{App, Parts},
    config::{EVENT_RETENTION_DAYS, File, Listen, WayLine},
    edge::{Clock, Rng},
    outbox::Outbox,
    serve::{self, Listener},
    systemd::{self, State},
    ways::{Doorway, loopback},
};

/// Where to serve, and from what. A flag counts before the environment, that before the file, that before the default.
#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, env = "KEYGATE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The database, sqlite:PATH or postgres://USER@HOST/DATABASE [default: sqlite:keygate.db]
    #[arg(long, env = "KEYGATE_DB", value_name = "ADDRESS", hide_env_values = true)]
    db: Option<String>,
    /// The key file; made at the first start [default: PATH.key beside a file, else keygate.key]
    #[arg(long, env = "KEYGATE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A policy in the place of Keygate's own: the same file with further roles and scopes
    #[arg(long, env = "KEYGATE_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A way in for proxies, and where it is: nginx=127.0.0.1:8081, envoy=unix:/run/keygate/envoy.sock; may be given
    /// several times
    #[arg(long = "way", value_name = "KIND=ADDRESS")]
    ways: Vec<WayLine>,
    /// Serve health and counters at an address of their own: /livez, /readyz, /metrics, to whoever can connect
    #[arg(long, env = "KEYGATE_ADMIN", value_name = "ADDRESS")]
    admin: Option<Listen>,
    /// A configuration file, in TOML
    #[arg(long, env = "KEYGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take every way in where the API is, from this machine. For tests and benchmarks
    #[arg(long, hide = true, conflicts_with = "ways")]
    ways_here: bool,
    /// Acknowledge before the disk has it. For fault tests: data is lost at a power cut
    #[arg(long, hide = true, env = "KEYGATE_UNSAFE_SYNC_OFF")]
    unsafe_sync_off: bool,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let file = File::read(self.config.as_ref())?;
        crate::log::start("info");
        super::runtime(file.workers)?.block_on(self.serve(file))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, file: File) -> anyhow::Result<()> {
        let stop = serve::stop_signal()?;
        let app = App::open(self.parts(&file)?)?;
        let wanted = self.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let api = match self.ways_here {
            true => Doorway::everything(),
            false => Doorway::api(file.trusted_proxies.clone().unwrap_or_else(loopback)),
        };
        let mut doorways = vec![(Listener::from(listen(wanted).await?), api)];
        let ways = if self.ways.is_empty() { &file.ways } else { &self.ways };
        for (at, doorway) in grouped(ways)? {
            doorways.push((listen_at(at).await?, doorway));
        }
        if let Some(at) = self.admin.as_ref().or(file.admin.listen.as_ref()) {
            let listener = listen_at(at.clone()).await?;
            tracing::info!(address = listener.address(), "health and counters");
            doorways.push((listener, Doorway::admin()));
        }
        let (tokens, _) = app.gate.size();
        let address = doorways[0].0.address();
        tracing::info!(%address, tokens, position = app.gate.position().0, "Keygate serves");
        for (listener, doorway) in &doorways[1..] {
            for way in &doorway.ways {
                tracing::info!(address = listener.address(), way = way.name(), path = way.path(), "a way in");
            }
        }
        systemd::serving(State::when_asked(&app));
        serve::serve(doorways, Arc::clone(&app), stop).await;
        tracing::info!("stopped; everything acknowledged is on the disk");
        #[cfg(feature = "otel")]
        crate::otel::flush();
        Ok(())
    }

    fn parts(&self, file: &File) -> anyhow::Result<Parts> {
        let rng = Rng::System;
        let db = self.db.as_ref().or(file.db.as_ref()).map_or("sqlite:keygate.db", String::as_str);
        let key_file = self.key_file.as_ref().or(file.key_file.as_ref());
        let policy = self.policy.as_ref().or(file.policy.as_ref());
        let mut settings = super::settings(db, key_file, policy, &rng)?;
        settings.login_limits = file.login_limits();
        if let Some(seen) = &file.node.seen {
            settings.memory = Some(Memory::at(seen.clone()));
        }
        if let Some(host) = file.public_url.as_deref().and_then(host_of) {
            settings.policy = Arc::new(crate::config::policy(policy)?.at(vec![host]));
        }
        if self.unsafe_sync_off {
            tracing::warn!("acknowledging before the disk has it: for fault tests only");
            settings.sync = keygate_authority::db::Sync::OffForFaultTests;
        }
        let brand = file.token_prefix.as_deref().map(Brand::parse).transpose()?.unwrap_or_default();
        let public_url = file.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let outbox = Outbox::new(file.outbox.clone());
        let event_retention_days = file.event_retention_days.unwrap_or(EVENT_RETENTION_DAYS).max(1);
        Ok(Parts {
            settings,
            clock: Clock::steady(),
            rng,
            brand,
            public_url,
            outbox,
            event_retention_days,
            quota: file.quota,
            name: file.node.name(),
            lease: file.node.lease()?,
            is_beside: false,
            feed: crate::feed::Settings { canary: Some(file.canary), ..file.feed.clone() },
        })
    }
}

/// The host of a URL.
fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    Host::parse(authority).ok().map(|host| host.as_str().to_owned())
}

/// The ways in by where they are: several may share an address, and then trust the same proxies.
pub(super) fn grouped(ways: &[WayLine]) -> anyhow::Result<Vec<(Listen, Doorway)>> {
    let mut doorways: Vec<(Listen, Doorway)> = Vec::new();
    for way in ways {
        let trusted = way.trusted.clone().unwrap_or_else(loopback);
        match doorways.iter_mut().find(|(listen, _)| *listen == way.listen) {
            None => doorways.push((way.listen.clone(), Doorway::ways(vec![way.kind], trusted))),
            Some((_, doorway)) if doorway.trusted == trusted => doorway.ways.push(way.kind),
            Some(_) => anyhow::bail!(
                "Two ways in share an address and trust different proxies; give {} an address of its own",
                way.kind.name()
            ),
        }
    }
    Ok(doorways)
}

pub(super) async fn listen_at(listen_at: Listen) -> anyhow::Result<Listener> {
    let (path, mode) = match listen_at {
        Listen::Tcp(address) => return Ok(listen(address).await?.into()),
        Listen::Unix(path, mode) => (path, mode),
    };
    // A socket that nobody listens on is what a killed process leaves.
    let is_socket = std::fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket && UnixStream::connect(&path).await.is_err() {
        std::fs::remove_file(&path).with_context(|| format!("{} is in the way", path.display()))?;
    }
    let listener = UnixListener::bind(&path)
        .with_context(|| format!("{} cannot be listened on; does its directory exist?", path.display()))?;
    if let Some(mode) = mode {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .with_context(|| format!("{} cannot be given the mode {mode:o}", path.display()))?;
    }
    Ok(Listener::Unix(listener, path))
}

/// Takes the address, or says what to do if it cannot be had.
pub(super) async fn listen(wanted: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(wanted).await.with_context(|| {
        format!("{wanted} cannot be listened on; choose another with --listen, port 0 for any free one")
    })
}

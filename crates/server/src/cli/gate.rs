//! `keygate gate`.

use std::{fs, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use keygate_gate::{
    Gate,
    follow::{Follower, Settings, Source},
    lease::{Lease, uptime},
};
use keygate_model::{Span, token::Brand};
use zeroize::Zeroizing;

use super::serve::{grouped, listen, listen_at};
use crate::{
    config::{Listen, WayLine, policy},
    edge::{Clock, Rng, Stopwatch},
    front::Front,
    post::{Kept, Post},
    serve::{self, Listener},
    ways::{Doorway, loopback},
};

/// The longest that any policy may let a gate answer in an outage.
const OUTAGE_MAX: Duration = Duration::from_mins(60);

/// Which node to follow, and where to serve. `docs/many-nodes.md` has the rest.
#[derive(Args)]
pub(super) struct GateCommand {
    /// The nodes to follow, the first preferred: http://host:port or https://host:port, with commas between
    #[arg(long, env = "KEYGATE_FOLLOW", value_name = "URL", value_delimiter = ',', required = true)]
    follow: Vec<Source>,
    /// A file with the gate's own token, of the role gate and the scope feed
    #[arg(long, env = "KEYGATE_TOKEN_FILE", value_name = "FILE")]
    token_file: PathBuf,
    /// What this gate is called in receipts and logs [default: the name of the machine]
    #[arg(long, env = "KEYGATE_GATE_NAME", value_name = "NAME")]
    name: Option<String>,
    /// A way in for proxies, and where it is: nginx=127.0.0.1:8081, envoy=unix:/run/keygate/envoy.sock; may be given
    /// several times
    #[arg(long = "way", value_name = "KIND=ADDRESS")]
    ways: Vec<WayLine>,
    /// Serve /livez, /readyz, /metrics and /verify here
    #[arg(long, env = "KEYGATE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Serve health and counters at an address of their own, to whoever can connect
    #[arg(long, env = "KEYGATE_ADMIN", value_name = "ADDRESS")]
    admin: Option<Listen>,
    /// The policy of the nodes, if they have one of their own
    #[arg(long, env = "KEYGATE_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The first part of secrets, if the nodes have another than kg
    #[arg(long, value_name = "PREFIX")]
    token_prefix: Option<String>,
    /// Threads that serve; as many as there are cores unless said
    #[arg(long, value_name = "COUNT")]
    workers: Option<usize>,
    /// A folder where this gate keeps what it knows over a restart, for itself alone
    #[arg(long, env = "KEYGATE_STATE", value_name = "DIR")]
    state: Option<PathBuf>,
    /// Seconds after which what was kept is of no use
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    state_max_age: u64,
    /// Seconds that it goes on answering without a proof that it knows everything; 5 is strict
    #[arg(long, env = "KEYGATE_LEASE", value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    lease: u64,
}

impl GateCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::log::start("info");
        super::runtime(self.workers)?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let stop = serve::stop_signal()?;
        let post = Arc::new(self.post()?);
        post.take_up();
        let doorways = self.doorways().await?;
        let Some((first, _)) = doorways.first() else {
            bail!("There is nothing to serve: name a way in with --way, or an address with --listen");
        };
        let nodes = self.follow.iter().map(Source::to_string).collect::<Vec<_>>().join(", ");
        tracing::info!(address = first.address(), nodes, "Keygate serves");
        for (listener, doorway) in &doorways {
            for way in &doorway.ways {
                tracing::info!(address = listener.address(), way = way.name(), path = way.path(), "a way in");
            }
        }
        post.serve(doorways, stop).await;
        tracing::info!("stopped");
        Ok(())
    }

    async fn doorways(&self) -> anyhow::Result<Vec<(Listener, Doorway)>> {
        let mut doorways = Vec::new();
        if let Some(at) = self.listen {
            doorways.push((Listener::from(listen(at).await?), Doorway::api(loopback())));
        }
        for (at, doorway) in grouped(&self.ways)? {
            doorways.push((listen_at(at).await?, doorway));
        }
        if let Some(at) = &self.admin {
            doorways.push((listen_at(at.clone()).await?, Doorway::admin()));
        }
        Ok(doorways)
    }

    fn post(&self) -> anyhow::Result<Post> {
        let lease = Span::of(Duration::from_secs(self.lease)).context("a lease of no length")?;
        let gate = Gate::new(Arc::new(policy(self.policy.as_ref())?), 0);
        let gate = Arc::new(gate.with_lease(Lease::of(lease, uptime)));
        let brand = self.token_prefix.as_deref().map(Brand::parse).transpose()?.unwrap_or_default();
        let front = Arc::new(Front::new(Arc::clone(&gate), Clock::steady(), Rng::System, brand, None));
        let hears = Arc::clone(&front);
        let (watch, token) = (Stopwatch::start(), token(&self.token_file)?);
        let age_max = Duration::from_secs(self.state_max_age);
        let state = self.state.clone().map(|dir| Arc::new(Kept::new(dir, &token, age_max)));
        let settings = Settings {
            sources: self.follow.clone(),
            token,
            name: self.name.clone().unwrap_or_else(machine),
            clock: Box::new(move || watch.elapsed()),
            // Without entropy two gates wait equally long, and a nonce is one that the node has seen.
            chance: Box::new(|| Rng::System.bytes().map_or(0, u128::from_be_bytes)),
            on_heartbeat: Box::new(move |renewed| {
                if let Some(time) = renewed.time {
                    hears.hear(time);
                }
            }),
            // The lease ends before that; a policy may let what is known through for longer.
            silence_max: OUTAGE_MAX,
        };
        let follower = Arc::new(Follower::new(gate, settings));
        Ok(Post { front, follower, state })
    }
}

/// The token in a file.
fn token(path: &PathBuf) -> anyhow::Result<Zeroizing<String>> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("The token file {} cannot be read", path.display()))?;
    let text = Zeroizing::new(text);
    let token = Zeroizing::new(text.trim().to_owned());
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("The token file {} holds no token: one line with the secret is wanted", path.display());
    }
    Ok(token)
}

/// What the machine is called.
fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

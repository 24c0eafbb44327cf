//! What `keygate gate` and `keygate proxy --follow` have in common: which node to follow, and how.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use keygate_gate::{
    Gate,
    follow::{Follower, Settings, Source},
    lease::{Lease, uptime},
};
use keygate_model::{Span, token::Brand};
use zeroize::Zeroizing;

use crate::{
    config::policy,
    edge::{Clock, Rng, Stopwatch},
    front::Front,
    post::{Kept, Post},
};

/// The longest that any policy may let a gate answer in an outage.
const OUTAGE_MAX: Duration = Duration::from_mins(60);

/// Which node to follow, and how.
#[derive(Args)]
pub(super) struct Follow {
    /// The nodes to follow, the first preferred: http://host:port or https://host:port, with commas between
    #[arg(long, env = "KEYGATE_FOLLOW", value_name = "URL", value_delimiter = ',', requires = "token_file")]
    pub(super) follow: Vec<Source>,
    /// A file with the gate's own token, of the role gate and the scope feed
    #[arg(long, env = "KEYGATE_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// What this gate is called in receipts and logs [default: the name of the machine]
    #[arg(long, env = "KEYGATE_GATE_NAME", value_name = "NAME")]
    name: Option<String>,
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

impl Follow {
    /// A gate without a database, with what it kept: `own` is the policy of the nodes, if they have one of their own.
    pub(super) fn post(&self, own: Option<&PathBuf>, brand: Brand) -> anyhow::Result<Arc<Post>> {
        let lease = Span::of(Duration::from_secs(self.lease)).context("a lease of no length")?;
        let gate = Gate::new(Arc::new(policy(own)?), 0);
        let gate = Arc::new(gate.with_lease(Lease::of(lease, uptime)));
        let front = Arc::new(Front::new(Arc::clone(&gate), Clock::steady(), Rng::System, brand, None));
        let (hears, times) = (Arc::clone(&front), Arc::clone(&front));
        let (watch, token) = (Stopwatch::start(), token(self.token_file.as_ref())?);
        let age_max = Duration::from_secs(self.state_max_age);
        let state = self.state.clone().map(|dir| Arc::new(Kept::new(dir, &token, age_max)));
        let settings = Settings {
            sources: self.follow.clone(),
            token,
            name: self.name.clone().unwrap_or_else(machine),
            clock: Box::new(move || watch.elapsed()),
            now: Box::new(move || times.clock.now()),
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
        let post = Post { front, follower, state };
        post.take_up();
        Ok(Arc::new(post))
    }

    /// The nodes, for the log.
    pub(super) fn nodes(&self) -> String {
        self.follow.iter().map(Source::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The token in a file.
fn token(path: Option<&PathBuf>) -> anyhow::Result<Zeroizing<String>> {
    let path = path.context("--token-file names a file with the gate's own token")?;
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

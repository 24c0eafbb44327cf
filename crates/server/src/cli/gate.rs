//! `keygate gate`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::{ArgGroup, Args};
use keygate_model::{Networks, token::Brand};

use super::{
    follow::Follow,
    serve::{grouped, listen, listen_at},
};
use crate::{
    config::{Listen, WayLine},
    serve::{self, Listener},
    systemd::{self, State},
    ways::{Doorway, loopback},
};

/// Which node to follow, and where to serve. `docs/many-nodes.md` has the rest.
#[derive(Args)]
#[command(group = ArgGroup::new("nodes").args(["follow"]).required(true))]
pub(super) struct GateCommand {
    #[command(flatten)]
    follow: Follow,
    /// A way in for proxies, and where it is: nginx=127.0.0.1:8081, envoy=unix:/run/keygate/envoy.sock; may be given
    /// several times
    #[arg(long = "way", value_name = "KIND=ADDRESS")]
    ways: Vec<WayLine>,
    /// Proxies whose questions are answered at the ways in: networks, with commas between [default: this machine]
    #[arg(long, env = "KEYGATE_TRUSTED_PROXIES", value_name = "NETWORKS", value_parser = Networks::parse)]
    trusted_proxies: Option<Networks>,
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
}

impl GateCommand {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::log::start("info");
        super::runtime(self.workers)?.block_on(self.serve())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self) -> anyhow::Result<()> {
        let stop = serve::stop_signal()?;
        let brand = self.token_prefix.as_deref().map(Brand::parse).transpose()?.unwrap_or_default();
        let post = self.follow.post(self.policy.as_ref(), brand)?;
        let doorways = self.doorways().await?;
        let Some((first, _)) = doorways.first() else {
            bail!("There is nothing to serve: name a way in with --way, or an address with --listen");
        };
        tracing::info!(address = first.address(), nodes = self.follow.nodes(), "Keygate serves");
        for (listener, doorway) in &doorways {
            for way in &doorway.ways {
                tracing::info!(address = listener.address(), way = way.name(), path = way.path(), "a way in");
            }
        }
        systemd::serving(State::of_gate_when_asked(&post));
        post.serve(doorways, stop).await;
        tracing::info!("stopped");
        Ok(())
    }

    async fn doorways(&self) -> anyhow::Result<Vec<(Listener, Doorway)>> {
        let mut doorways = Vec::new();
        if let Some(at) = self.listen {
            doorways.push((Listener::from(listen(at).await?), Doorway::api(loopback())));
        }
        let trusted = |way: &WayLine| WayLine { trusted: self.trusted_proxies.clone(), ..way.clone() };
        for (at, doorway) in grouped(&self.ways.iter().map(trusted).collect::<Vec<_>>())? {
            doorways.push((listen_at(at).await?, doorway));
        }
        if let Some(at) = &self.admin {
            doorways.push((listen_at(at.clone()).await?, Doorway::admin()));
        }
        Ok(doorways)
    }
}

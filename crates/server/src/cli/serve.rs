//! `keygate serve`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use keygate_model::token::Brand;
use tokio::net::TcpListener;

use crate::{
    app::{App, Parts},
    config::{EVENT_RETENTION_DAYS, File},
    edge::{Clock, Rng},
    outbox::Outbox,
    serve,
};

/// Where to serve, and from what. A flag counts before the environment, that before the file, that before the default.
#[derive(Args)]
pub(super) struct Serve {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, env = "KEYGATE_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The database [default: sqlite:keygate.db]
    #[arg(long, env = "KEYGATE_DB", value_name = "sqlite:PATH")]
    db: Option<String>,
    /// The key file; made at the first start [default: PATH.key, beside the database]
    #[arg(long, env = "KEYGATE_KEY_FILE", value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A policy in the place of Keygate's own: the same file with further roles and scopes
    #[arg(long, env = "KEYGATE_POLICY", value_name = "FILE")]
    policy: Option<PathBuf>,
    /// A configuration file, in TOML
    #[arg(long, env = "KEYGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Acknowledge before the disk has it. For fault tests: data is lost at a power cut
    #[arg(long, hide = true, env = "KEYGATE_UNSAFE_SYNC_OFF")]
    unsafe_sync_off: bool,
}

impl Serve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let file = File::read(self.config.as_ref())?;
        crate::log::start("info");
        let mut builder = match file.workers {
            Some(1) => tokio::runtime::Builder::new_current_thread(),
            _ => tokio::runtime::Builder::new_multi_thread(),
        };
        if let Some(workers) = file.workers.filter(|workers| *workers > 1) {
            builder.worker_threads(workers);
        }
        builder.enable_all().build()?.block_on(self.serve(file))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn serve(self, file: File) -> anyhow::Result<()> {
        let stop = serve::stop_signal()?;
        let app = App::open(self.parts(&file)?)?;
        let wanted = self.listen.or(file.listen).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        let listener = listen(wanted).await?;
        let address = listener.local_addr()?;
        let (tokens, _) = app.gate.size();
        tracing::info!(%address, tokens, position = app.gate.position().0, "Keygate serves");
        serve::serve(listener, Arc::clone(&app), stop).await;
        tracing::info!("stopped; everything acknowledged is on the disk");
        Ok(())
    }

    fn parts(&self, file: &File) -> anyhow::Result<Parts> {
        let rng = Rng::System;
        let db = self.db.as_ref().or(file.db.as_ref()).map_or("sqlite:keygate.db", String::as_str);
        let key_file = self.key_file.as_ref().or(file.key_file.as_ref());
        let policy = self.policy.as_ref().or(file.policy.as_ref());
        let mut settings = super::settings(db, key_file, policy, &rng)?;
        settings.login_limits = file.login_limits();
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
            clock: Clock::System,
            rng,
            brand,
            public_url,
            outbox,
            event_retention_days,
            quota: file.quota,
        })
    }
}

/// Takes the address, or says what to do if it cannot be had.
pub(super) async fn listen(wanted: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(wanted).await.with_context(|| {
        format!("{wanted} cannot be listened on; choose another with --listen, port 0 for any free one")
    })
}

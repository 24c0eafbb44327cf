//! `keygate demo`: the main job, live. Makes a customer, a person with a second factor and two services on a server of
//! its own, and plays the tutorial against it over HTTP, printing each `curl` line with its real answer and time.

mod cache;
mod machine;
mod play;
mod show;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use keygate_authority::{
    Settings,
    factor::FactorState,
    password::{NewPassword, Password},
    service::NewService,
    user::NewUser,
};
use keygate_model::{
    Permit, Policy, UserId,
    policy::{OWN_POLICY, SUPERUSER},
    token::Brand,
    user::Login,
};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

use crate::{
    app::{App, Parts},
    config::EVENT_RETENTION_DAYS,
    edge::{Clock, Rng},
    outbox::Outbox,
    quota::Limits,
    serve,
    ways::Doorway,
};

/// The people of the demo, who exist nowhere else, and their password.
const LOGIN: &str = "demo@keygate.example";
const COLLEAGUE: &str = "colleague@keygate.example";
const PASSWORD: &str = "a demo needs no good password";

/// How the demo runs.
#[derive(Args)]
pub(super) struct Demo {
    /// End after the tutorial, with status 0 only if every step answered as it should
    #[arg(long)]
    exit: bool,
    /// Where to listen, port 0 for any free one [default: 127.0.0.1:8080, or any free port if that is taken]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// An empty folder for the database [default: a new one among the temporary files]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What the tutorial plays on.
struct Stage {
    address: SocketAddr,
    cache: SocketAddr,
    seed: Zeroizing<Vec<u8>>,
    secret: Zeroizing<String>,
    shop: String,
    blog: String,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        crate::log::start("warn");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let good = runtime.block_on(self.play())?;
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn play(self) -> anyhow::Result<bool> {
        let stop = serve::stop_signal()?;
        let (folder, ours) = self.folder()?;
        let app = open(&folder)?;
        let listener = self.listener().await?;
        let cache = cache::start().await?;
        let stage = set(&app, listener.local_addr()?, cache).await?;
        show::opening(&stage, &folder);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let doorways = vec![(listener.into(), Doorway::everything())];
        let served = tokio::spawn(serve::serve(doorways, Arc::clone(&app), async {
            let _ = ended.await;
        }));
        let good = play::tutorial(&app, &stage).await?;
        if !self.exit {
            show::going_on(&stage, &folder);
            stop.await;
        }
        let _ = end.send(());
        served.await?;
        drop(app);
        if self.exit && ours {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        Ok(good)
    }

    /// An empty folder, and whether the demo made it.
    fn folder(&self) -> anyhow::Result<(PathBuf, bool)> {
        let Some(folder) = &self.data else {
            let name = format!("keygate-demo-{}", data_encoding::HEXLOWER.encode(&Rng::System.bytes::<6>()?));
            let folder = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{} cannot be made", folder.display()))?;
            return Ok((folder, true));
        };
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        if std::fs::read_dir(folder)?.next().is_some() {
            bail!(
                "{} is not empty; the demo wants a folder of its own, so that it breaks nothing",
                folder.display()
            );
        }
        Ok((folder.clone(), false))
    }

    async fn listener(&self) -> anyhow::Result<TcpListener> {
        match self.listen {
            Some(wanted) => super::serve::listen(wanted).await,
            None => match TcpListener::bind(("127.0.0.1", 8080)).await {
                Ok(listener) => Ok(listener),
                Err(_) => super::serve::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await,
            },
        }
    }
}

fn open(folder: &Path) -> anyhow::Result<Arc<App>> {
    let rng = Rng::System;
    let policy = Arc::new(Policy::compile(OWN_POLICY)?);
    let settings = Settings::new(&folder.join("keygate.db"), policy, rng.bytes()?);
    Ok(App::open(Parts {
        settings,
        clock: Clock::steady(),
        rng,
        brand: Brand::default(),
        public_url: None,
        outbox: Outbox::default(),
        event_retention_days: EVENT_RETENTION_DAYS,
        quota: Limits::default(),
        name: "this node".to_owned(),
        lease: keygate_gate::Lease::DEFAULT,
        is_beside: false,
        feed: crate::feed::Settings::default(),
    })?)
}

/// Adds a superuser.
async fn add(app: &App, permit: &Permit, login: &str, name: &str) -> anyhow::Result<UserId> {
    let new = NewUser {
        id: app.user_id()?,
        login: Login::parse(login)?,
        name: name.to_owned(),
        role: SUPERUSER.to_owned(),
        limited: false,
        password: Some(NewPassword { password: Password::parse(PASSWORD)?, salt: app.rng.bytes()? }),
    };
    Ok(app.authority.create_user(permit, &app.local_origin(), new).await?.id)
}

/// Makes the customer, the person and the services, as an operator would at the command line.
async fn set(app: &App, address: SocketAddr, cache: SocketAddr) -> anyhow::Result<Stage> {
    let origin = app.local_origin();
    let customer = app.authority.create_customer(&origin, app.customer_id()?, "Demo").await?;
    let permit = Permit::of_the_operator(customer.id);
    let person = add(app, &permit, LOGIN, "Demo Person").await?;
    add(app, &permit, COLLEAGUE, "Demo Colleague").await?;
    let entropy = app.rng.factor()?;
    let seed = Zeroizing::new(entropy.seed.to_vec());
    let shown = app.authority.enrol_factor(&permit, &origin, person, entropy, FactorState::On).await?;
    let mut services = Vec::new();
    for name in ["shop", "blog"] {
        let (domains, nodes) = (vec![format!("{name}.example")], vec![format!("http://{cache}")]);
        let new = NewService { name: name.to_owned(), domains, nodes, ..NewService::default() };
        services.push(
            app.authority.create_service(&permit, &origin, app.service_id()?, new).await?.id.to_string(),
        );
    }
    let [shop, blog] = <[String; 2]>::try_from(services).unwrap_or_default();
    Ok(Stage { address, cache, seed, secret: shown.secret, shop, blog })
}

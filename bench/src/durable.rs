//! Durable creation: tokens made with their event, acknowledged only when the disk has them, against what the disk can
//! do: appending a block and syncing it.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context as _;
use keygate_authority::{
    Authority, Origin, Settings,
    login::Attempt,
    password::{NewPassword, Password},
    token::{Minted, Order},
    user::NewUser,
};
use keygate_gate::Gate;
use keygate_model::{
    Action, Circumstances, Permit, Policy, Timestamp, UserId, Verdict, Want,
    policy::OWN_POLICY,
    token::{Brand, Kind},
    user::Login,
};
use sha2::{Digest as _, Sha256};

use crate::{
    fixture::{self, median},
    report::{Bar, Row},
};

const PASSWORD: &str = "a bench has no secrets";
const LAPS: usize = 5;
const LAP: Duration = Duration::from_secs(2);
/// How many tokens a second people are hired for before the first lap.
const RATE_GUESSED: f64 = 1000.0;
/// When everything in these databases is made.
pub(crate) const START: i64 = 1_800_000_000;

/// An authority whose people make tokens: as many each as one may have, then somebody new does.
pub struct Office {
    authority: Authority,
    gate: Arc<Gate>,
    origin: Origin,
    /// How many tokens are made, or being made.
    next: AtomicU64,
    /// How many tokens the people that there are can have made.
    most: AtomicU64,
    /// Who makes tokens, one after the other.
    clerks: tokio::sync::Mutex<Vec<Permit>>,
}

/// A person may have a hundred tokens, and has one to make others with.
const TOKENS_EACH: u64 = 99;

impl Office {
    /// Opens one on a new database.
    ///
    /// # Errors
    /// Whatever goes wrong.
    pub async fn open(db: &Path) -> anyhow::Result<Self> {
        Self::with(|policy| Settings::new(db, policy, [7; 32])).await
    }

    /// The same, on any database.
    pub(crate) async fn with(settings: impl FnOnce(Arc<Policy>) -> Settings) -> anyhow::Result<Self> {
        let policy = Arc::new(Policy::compile(OWN_POLICY)?);
        let gate = Arc::new(Gate::new(Arc::clone(&policy), 0));
        let fed = Arc::clone(&gate);
        let authority = Authority::open(settings(policy), Box::new(move |batch| fed.apply(batch)))?;
        gate.open();
        let origin = Origin::local(Timestamp::from_seconds(START));
        authority.create_customer(&origin, fixture::CUSTOMER, "Bench").await?;
        let operator = Permit::of_the_operator(fixture::CUSTOMER);
        let service =
            keygate_authority::service::NewService { name: "bench".to_owned(), ..Default::default() };
        authority.create_service(&operator, &origin, fixture::SERVICE, service).await?;
        Ok(Self {
            authority,
            gate,
            origin,
            next: AtomicU64::new(0),
            most: AtomicU64::new(0),
            clerks: Default::default(),
        })
    }

    /// Somebody new, whose token is in sudo: the permit to make more.
    async fn hire(&self, number: u64) -> anyhow::Result<Permit> {
        let (authority, origin) = (&self.authority, &self.origin);
        let login = Login::parse(&format!("bench{number}@keygate.example"))?;
        let id = UserId::from_bits(9 + u128::from(number));
        let (name, role) = ("Bench".to_owned(), "engineer".to_owned());
        let password = NewPassword { password: Password::parse(PASSWORD)?, salt: [1; 16] };
        let user = NewUser { id, login: login.clone(), name, role, limited: false, password: Some(password) };
        authority.create_user(&Permit::of_the_operator(fixture::CUSTOMER), origin, user).await?;
        let attempt = Attempt { login, password: Password::parse(PASSWORD)?, otp: None };
        let first = authority
            .create_token_by_password(origin, attempt, Order::default(), minted(u64::MAX - number), |_| true)
            .await?;
        let digest = first.secret.digest();
        let ask = |action| {
            let at = Circumstances::of(origin.now, None);
            self.gate.decide(&digest, &Want { action, service: None }, at)
        };
        let sudo = allowed(ask(Action::SUDO_START))?;
        authority.start_sudo(&sudo, origin, None, Password::parse(PASSWORD)?).await?;
        allowed(ask(Action::TOKEN_CREATE))
    }

    /// Hires as many people as `tokens` in all need.
    async fn hire_for(&self, tokens: u64, clerks: &mut Vec<Permit>) -> anyhow::Result<()> {
        while self.most.load(Ordering::Relaxed) < tokens {
            clerks.push(self.hire(clerks.len() as u64).await?);
            self.most.fetch_add(TOKENS_EACH, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many more tokens can be made before somebody must be hired.
    fn room(&self) -> u64 {
        self.most.load(Ordering::Relaxed).saturating_sub(self.next.load(Ordering::Relaxed))
    }

    /// The next number, and whoever makes the token with it. Drawn together: a number that waited while somebody new was
    /// hired would be one too many for them.
    async fn turn(&self) -> anyhow::Result<(u64, Permit)> {
        let mut clerks = self.clerks.lock().await;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.hire_for(number + 1, &mut clerks).await?;
        let clerk = clerks.get((number / TOKENS_EACH) as usize);
        Ok((number, *clerk.context("nobody was hired")?))
    }

    /// Makes the token with the next number.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn make(&self) -> anyhow::Result<()> {
        let order = Order { scope: Some("purge_select".to_owned()), ..Order::default() };
        let (number, clerk) = self.turn().await?;
        self.authority.create_token(&clerk, &self.origin, order, minted(number)).await?;
        Ok(())
    }

    /// Makes tokens until there are `count`, many at once.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn make_up_to(self: Arc<Self>, count: u64) -> anyhow::Result<()> {
        let clerks: Vec<_> = (0..128)
            .map(|_| {
                let office = Arc::clone(&self);
                tokio::spawn(async move {
                    while office.next.load(Ordering::Relaxed) < count {
                        office.make().await?;
                    }
                    anyhow::Ok(())
                })
            })
            .collect();
        for clerk in clerks {
            clerk.await??;
        }
        Ok(())
    }
}

/// Measures one client against the disk, and 32 clients against one.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let db = fresh(folder, "durable.db")?;
    let office = Arc::new(runtime.block_on(Office::open(&db))?);
    let (mut disk, mut one, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LAPS {
        disk.push(append_and_sync(&folder.join("append"))?);
        one.push(runtime.block_on(clients(&office, 1, &one))?);
        many.push(runtime.block_on(clients(&office, 32, &many))?);
    }
    let (disk, one, many) = (median(disk), median(one), median(many));
    Ok(vec![
        Row {
            what: "tokens created durably, 1 client".to_owned(),
            ours: format!("{one:.0} /s"),
            yardstick: format!("{disk:.0} /s, append 4 KiB and sync"),
            ratio: one / disk,
            bar: Bar::Least(0.6),
            note: "token, event, seals and chain in one transaction".to_owned(),
        },
        Row {
            what: "tokens created durably, 32 clients".to_owned(),
            ours: format!("{many:.0} /s"),
            yardstick: format!("{one:.0} /s, 1 client"),
            ratio: many / one,
            bar: Bar::Least(4.0),
            note: "group commit".to_owned(),
        },
    ])
}

/// The path of a database that is not there yet.
///
/// # Errors
/// If an old one cannot be removed.
pub fn fresh(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    for suffix in ["", "-wal", "-shm", ".key"] {
        let file = folder.join(format!("{name}{suffix}"));
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    Ok(folder.join(name))
}

/// How many tokens so many clients make in a second, who made as many as `before` says in the laps before this one. Who is
/// needed for that is hired first, outside of the measured time: three hashed passwords each are no part of it. Should they
/// not be enough, the lap is a shorter one.
pub(crate) async fn clients(office: &Arc<Office>, count: u64, before: &[f64]) -> anyhow::Result<f64> {
    let expected = before.last().unwrap_or(&RATE_GUESSED) * LAP.as_secs_f64() * 1.5;
    let tokens = office.next.load(Ordering::Relaxed) + count + expected as u64;
    office.hire_for(tokens, &mut *office.clerks.lock().await).await?;
    let start = fixture::now();
    let client = || {
        let office = Arc::clone(office);
        tokio::spawn(async move {
            let mut made = 0_u64;
            // Each of the others may be about to take one.
            while start.elapsed() < LAP && office.room() >= count {
                office.make().await?;
                made += 1;
            }
            anyhow::Ok(made)
        })
    };
    let clients: Vec<_> = (0..count).map(|_| client()).collect();
    let mut made = 0;
    for client in clients {
        made += client.await??;
    }
    Ok(made as f64 / start.elapsed().as_secs_f64())
}

pub(crate) fn append_and_sync(path: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(path)?;
    let (start, mut appended) = (fixture::now(), 0_u32);
    while start.elapsed() < LAP {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        appended += 1;
    }
    let rate = f64::from(appended) / start.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

fn minted(number: u64) -> Minted {
    let entropy: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
    let id = (u128::from(number) << 64 | u128::from(number)).to_be_bytes();
    Minted::new(&Brand::default(), Kind::User, id, &entropy)
}

fn allowed(verdict: Verdict) -> anyhow::Result<Permit> {
    match verdict {
        Verdict::Allow(permit) => Ok(permit),
        other => anyhow::bail!("the decision was {other:?}"),
    }
}

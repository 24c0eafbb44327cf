//! The authority itself: a handle on the writer, the readers and the keys.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use keygate_model::{Actor, CustomerId, EventId, Permit, Policy};

use crate::{
    chain::Head,
    db::{self, Connection, Db, NONE, Sync},
    epoch::{self, Memory},
    event,
    fault::Fault,
    feed::{Feed, Sink},
    keys::Keys,
    login::{Limiter, LoginLimits},
    origin::Origin,
    password::Passwords,
    policy::InForce,
    usage::Mark,
    vitals::Vitals,
    write::{self, Committed, Write, Writer},
};

/// What an authority is opened with.
pub struct Settings {
    /// Where the record is kept.
    pub db: Db,
    /// The key file; made if it is not there.
    pub key: PathBuf,
    /// Where this machine remembers how far the record had come; beside the key unless it is said.
    pub memory: Option<Memory>,
    /// How hard commits are pushed to the disk.
    pub sync: Sync,
    /// Limits on failed logins.
    pub login_limits: LoginLimits,
    /// How many passwords are hashed at once, and how many more may wait.
    pub hashing: (usize, usize),
    /// The policy whose scopes and roles tokens and people have.
    pub policy: Arc<Policy>,
    /// Random bytes for a key file that is not there yet.
    pub key_entropy: [u8; 32],
}

impl Settings {
    /// The settings for a database. The key file is beside a database that is a file, and `keygate.key` otherwise.
    #[must_use]
    pub fn new(db: impl Into<Db>, policy: Arc<Policy>, key_entropy: [u8; 32]) -> Self {
        let db = db.into();
        let key = match &db {
            Db::Sqlite(path) => {
                let mut key = path.as_os_str().to_owned();
                key.push(".key");
                key.into()
            }
            Db::Postgres(_) => PathBuf::from("keygate.key"),
        };
        Self {
            db,
            memory: None,
            key,
            sync: Sync::Full,
            login_limits: LoginLimits::default(),
            hashing: (std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)), 64),
            policy,
            key_entropy,
        }
    }
}

impl Settings {
    /// Beside the key is where no backup of the database is.
    fn memory(&self) -> Memory {
        self.memory.clone().unwrap_or_else(|| {
            let mut seen = self.key.as_os_str().to_owned();
            seen.push(".seen");
            Memory::at(seen.into())
        })
    }
}

/// Everything that changes something, and the record of it. Cheap to share behind an `Arc`.
pub struct Authority {
    // Before the writer, and so closed before it: the last connection empties the write-ahead log, if it may write.
    readers: Arc<Readers>,
    writer: Writer,
    keys: Arc<Keys>,
    passwords: Passwords,
    limiter: Limiter,
    policy: Arc<InForce>,
    vitals: Arc<Vitals>,
    pub(crate) memory: Memory,
    pub(crate) epoch: u64,
}

/// What opening the database gives.
struct Opened {
    desk: write::Opened,
    keys: Arc<Keys>,
    policy: Arc<InForce>,
    feed: Feed,
    epoch: u64,
}

impl Opened {
    fn from(
        settings: Settings,
        feed: impl FnOnce(&Connection, &Keys, Arc<InForce>, &Memory) -> Result<Feed, Fault>,
    ) -> Result<Self, Fault> {
        let memory = settings.memory();
        let Settings { db: place, key, sync, policy, key_entropy, .. } = settings;
        let lost = || {
            let why = "is not there, and the database that it belongs to is: put it back";
            Err(Fault::KeyFile(format!("{} {why}", key.display())))
        };
        let has_key = key.exists();
        if matches!(&place, Db::Sqlite(path) if path.exists()) && !has_key {
            return lost();
        }
        let db = db::open_writer(&place, sync)?;
        if place.is_shared() && !has_key && db.version()? > 0 {
            return lost();
        }
        let keys = Arc::new(Keys::open(&key, &key_entropy)?);
        let policy = Arc::new(InForce::new(policy));
        policy.read(&db, &keys)?;
        let raised = Head::read(&db, &keys).map_or(0, |head| head.raised);
        let feed = feed(&db, &keys, Arc::clone(&policy), &memory)?;
        let desk = write::Opened { db, place, sync, memory };
        Ok(Self { desk, keys, policy, feed, epoch: epoch::number(raised) })
    }
}

/// Connections for reading, made when there are too few, kept when done.
struct Readers {
    db: Db,
    idle: Mutex<Vec<Connection>>,
}

impl Authority {
    /// Opens the database, making it and the key file where they are missing, and tells `sink` everything there is.
    /// From then on the sink is told every change, also of other processes, before its maker is answered.
    ///
    /// # Errors
    /// [`Fault::KeyFile`]; `db_too_new`; `epoch_regression` if the record is behind what this machine has seen; storage
    /// faults.
    pub fn open(settings: Settings, sink: Sink) -> Result<Self, Fault> {
        // Where losing is what is tested, it is not refused.
        let may_lose = settings.sync != Sync::Full;
        Self::open_with(settings, move |db, keys, in_force, memory| {
            if !may_lose {
                epoch::is_not_behind(db, keys, memory)?;
            }
            Feed::start(db, keys, in_force, sink)
        })
    }

    /// The same with nobody to tell: for one command at a time, beside a server that hears of it by itself.
    ///
    /// # Errors
    /// As [`Authority::open`].
    pub fn open_silently(settings: Settings) -> Result<Self, Fault> {
        Self::open_with(settings, |_, _, in_force, _| Ok(Feed::silent(in_force)))
    }

    fn open_with(
        settings: Settings,
        feed: impl FnOnce(&Connection, &Keys, Arc<InForce>, &Memory) -> Result<Feed, Fault> + Send,
    ) -> Result<Self, Fault> {
        let (workers, waiting_max) = settings.hashing;
        let (db, limits, memory) = (settings.db.clone(), settings.login_limits, settings.memory());
        let opened = db::off_the_runtime(move || Opened::from(settings, feed))?;
        let (keys, policy) = (Arc::clone(&opened.keys), Arc::clone(&opened.policy));
        let vitals = Arc::new(Vitals::new());
        Ok(Self {
            writer: Writer::start(opened.desk, Arc::clone(&keys), opened.feed, Arc::clone(&vitals))?,
            readers: Arc::new(Readers { db, idle: Mutex::default() }),
            keys,
            passwords: Passwords::new(workers, waiting_max)?,
            limiter: Limiter::new(limits),
            policy,
            vitals,
            memory,
            epoch: opened.epoch,
        })
    }

    /// A page of the customer's events.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn events(
        &self,
        permit: &Permit,
        filter: event::Filter,
        number: u64,
        size: u64,
    ) -> Result<event::Page, Fault> {
        permit.proves(keygate_model::Action::EVENT_READ)?;
        let customer = permit.customer();
        self.read(move |db, _| event::page(db, customer, &filter, number, size)).await
    }

    /// One event of the customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn event(&self, permit: &Permit, id: EventId) -> Result<event::Row, Fault> {
        permit.proves(keygate_model::Action::EVENT_READ)?;
        let customer: CustomerId = permit.customer();
        self.read(move |db, _| event::one(db, customer, id)).await
    }

    /// A tag that only this authority can make, for what it hands out to be handed back: cursors.
    #[must_use]
    pub fn cursor_tag(&self, of: &str) -> String {
        data_encoding::HEXLOWER.encode(&self.keys.tag("cursor", of.as_bytes()))
    }

    /// What makes the ids of refusals, for those who refuse.
    #[must_use]
    pub fn denials(&self) -> crate::denial::Denials {
        self.keys.denials()
    }

    /// What signs identities, for those who tell them to protected APIs.
    #[must_use]
    pub fn signer(&self) -> &crate::signer::Signer {
        self.keys.signer()
    }

    /// Writes marks of use.
    ///
    /// # Errors
    /// Storage faults; the marks are lost then, which they may be.
    pub async fn mark(&self, marks: Vec<Mark>) -> Result<(), Fault> {
        self.writer.mark(marks).await
    }

    /// Whether the database answers a read.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.read(|db, _| Ok(db.prepare_cached("SELECT count(*) FROM head")?.query_row(NONE, |_| Ok(()))?))
            .await
    }

    /// Whether changes can be made at all before this process is started again.
    #[must_use]
    pub fn has_writer(&self) -> bool {
        self.writer.is_there()
    }

    /// Signs of life, for whoever watches.
    #[must_use]
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    pub(crate) async fn change<T: Send + 'static>(
        &self,
        actor: Actor,
        origin: &Origin,
        verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.change_many(0, actor, origin, verb).await
    }

    /// A change that is about this many things, and may take as much longer.
    pub(crate) async fn change_many<T: Send + 'static>(
        &self,
        things: usize,
        actor: Actor,
        origin: &Origin,
        verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        self.writer.change(actor, origin, things, verb).await
    }

    /// Reads on a connection of its own, off the threads that serve.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection, &Keys) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (readers, keys) = (Arc::clone(&self.readers), Arc::clone(&self.keys));
        let vitals = Arc::clone(&self.vitals);
        let read = move || {
            let db = vitals.noting(readers.take())?;
            let found = vitals.noting(look_at_once(&db, &keys, look));
            readers.put_back(db);
            found
        };
        tokio::task::spawn_blocking(read).await.map_err(|_| Fault::Stopped)?
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.writer
    }

    pub(crate) fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    pub(crate) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    pub(crate) fn policy_handle(&self) -> Arc<Policy> {
        self.policy.now()
    }
}

/// Looks at one consistent state: a row and the last event about it must be of the same moment.
fn look_at_once<T>(
    db: &Connection,
    keys: &Keys,
    look: impl FnOnce(&Connection, &Keys) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let _snapshot = db.snapshot()?;
    look(db, keys)
}

impl Drop for Readers {
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        let closed = db::off_the_runtime(move || {
            drop(idle);
            Ok(())
        });
        if let Err(fault) = closed {
            tracing::debug!(error = ?fault, "connections were not closed");
        }
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, Fault> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| db::open_reader(&self.db), Ok)
    }

    fn put_back(&self, db: Connection) {
        if db.is_lost() {
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
    }
}

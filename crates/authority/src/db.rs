//! The one place that knows which database it is: SQLite on one machine, PostgreSQL where many nodes share one. Every
//! statement is one text that both understand, with `$1` for what it takes.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::fault::Fault;

mod copy;
mod postgres;
mod sqlite;
mod statement;
mod value;

pub use self::copy::{Copied, copy};
pub use self::postgres::{Address, Role, Schema};
pub(crate) use self::statement::{Row, Statement, Walk};
pub(crate) use self::value::{Bind, Column, NONE, Params, Value, params};

/// Each migration, in order. Never edit one after a release.
const MIGRATIONS: [&str; 6] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_policies.sql"),
    include_str!("../migrations/0003_nodes.sql"),
    include_str!("../migrations/0004_mass_revokes.sql"),
    include_str!("../migrations/0005_gates.sql"),
    include_str!("../migrations/0006_living.sql"),
];

/// Every table that holds the record, those that others refer to first.
const TABLES: [&str; 13] = [
    "customers",
    "users",
    "authorizations",
    "invitations",
    "services",
    "domains",
    "tokens",
    "mass_revokes",
    "marks",
    "idempotency",
    "policies",
    "events",
    "head",
];

/// Where the record is kept.
#[derive(Clone, Debug)]
pub enum Db {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Address),
}

impl Db {
    /// Whether other nodes may write to it while this one does.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }
}

impl<P: AsRef<std::path::Path> + ?Sized> From<&P> for Db {
    fn from(path: &P) -> Self {
        Self::Sqlite(path.as_ref().to_owned())
    }
}

impl FromStr for Db {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            Some(("postgres" | "postgresql", _)) => Address::parse(text).map(Self::Postgres),
            // The text is not repeated: it may have a password in it.
            _ => Err("The database cannot be told: write sqlite:PATH, for example sqlite:keygate.db, or \
                      postgres://USER@HOST/DATABASE"
                .to_owned()),
        }
    }
}

impl fmt::Display for Db {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(to, "sqlite:{}", path.display()),
            Self::Postgres(address) => address.fmt(to),
        }
    }
}

/// How hard commits are pushed to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Every commit is on the disk before it is acknowledged: the only setting for a real system.
    Full,
    /// Commits are lost at a power cut. The negative control of the crash test: with this it must fail.
    OffForFaultTests,
}

/// What a database says went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL.
    #[error("{}", postgres::told(.0))]
    Postgres(#[from] tokio_postgres::Error),
    /// A row or a column is not there, or is not of the kind that we wrote.
    #[error("a column cannot be read")]
    Unreadable,
    /// A commit went through, and the server said that it might not be safe.
    #[error("committed with a warning: {0}")]
    Warned(String),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The migrations that a database lacks which has `done` of them.
fn missing(done: usize) -> Result<&'static [&'static str], Fault> {
    MIGRATIONS.get(done..).ok_or_else(|| {
        Fault::invalid("db_too_new", "this database was made by a newer Keygate; use that version")
    })
}

/// A connection.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<postgres::Connection>),
}

/// Opens the database for the writer. A file is made and its schema brought up to date; a server must have it.
pub(crate) fn open_writer(db: &Db, sync: Sync) -> Result<Connection, Fault> {
    match db {
        Db::Sqlite(path) => sqlite::open_writer(path, sync).map(Connection::Sqlite),
        Db::Postgres(address) => {
            postgres::Connection::open_writer(address, sync).map(|db| Connection::Postgres(Box::new(db)))
        }
    }
}

/// Opens the database for reading alone.
pub(crate) fn open_reader(db: &Db) -> Result<Connection, Fault> {
    Ok(match db {
        Db::Sqlite(path) => Connection::Sqlite(sqlite::open_reader(path)?),
        Db::Postgres(address) => Connection::Postgres(Box::new(postgres::Connection::open_reader(address)?)),
    })
}

/// Works on a database on a thread of its own, and waits for it: PostgreSQL's library blocks, which a thread of the async
/// runtime must not.
pub(crate) fn off_the_runtime<T: Send>(work: impl FnOnce() -> Result<T, Fault> + Send) -> Result<T, Fault> {
    std::thread::scope(|scope| scope.spawn(work).join().map_err(|_| Fault::Stopped)?)
}

impl Connection {
    /// A statement that is used often.
    pub(crate) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        Ok(match self {
            Self::Sqlite(db) => Statement::Sqlite(db.prepare_cached(sql)?),
            Self::Postgres(db) => Statement::Postgres(db, db.prepare(sql)?),
        })
    }

    /// A statement that reads many rows, in a snapshot: they come bit by bit.
    pub(crate) fn prepare_walk(&self, sql: &str) -> Result<Walk<'_>> {
        Ok(match self {
            Self::Sqlite(db) => Walk::Sqlite(db.prepare(sql)?),
            Self::Postgres(db) => Walk::Postgres(db, sql.to_owned()),
        })
    }

    /// Runs statements that take and tell nothing.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(db) => Ok(db.execute_batch(sql)?),
            Self::Postgres(db) => db.run(sql),
        }
    }

    /// Begins a change. Whoever else wants to write waits until it ends, whichever process they are.
    pub(crate) fn begin(&self) -> Result<()> {
        match self {
            Self::Sqlite(db) => Ok(db.execute_batch("BEGIN IMMEDIATE")?),
            Self::Postgres(db) => db.begin(),
        }
    }

    /// Begins a part of a change that may be undone alone.
    pub(crate) fn begin_part(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.run("SAVEPOINT part"),
            Self::Postgres(db) => {
                db.begin_part();
                Ok(())
            }
        }
    }

    /// Ends that part: for good, or undone. After an error it is undone.
    pub(crate) fn end_part(&self, for_good: bool) -> Result<()> {
        match self {
            Self::Sqlite(_) => {
                self.run(if for_good { "RELEASE part" } else { "ROLLBACK TO part; RELEASE part" })
            }
            Self::Postgres(db) => db.end_part(for_good),
        }
    }

    /// Commits. An error leaves open whether it is done, unless [`Error::is_undone`].
    pub(crate) fn commit(&self) -> Result<()> {
        match self {
            Self::Sqlite(db) => Ok(db.execute_batch("COMMIT")?),
            Self::Postgres(db) => db.commit(),
        }
    }

    /// Undoes a change.
    pub(crate) fn roll_back(&self) -> Result<()> {
        self.run("ROLLBACK")
    }

    /// Whether a change or a snapshot has begun and not ended.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Sqlite(db) => !db.is_autocommit(),
            Self::Postgres(db) => db.is_busy(),
        }
    }

    /// Whether the server is gone; a new connection may find it again.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(db) => db.is_lost(),
        }
    }

    /// Begins reading one consistent state; it ends when dropped.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>> {
        // Within another, that one's state is the one.
        let begun = !self.is_busy();
        if begun {
            match self {
                Self::Sqlite(db) => db.execute_batch("BEGIN")?,
                Self::Postgres(db) => db.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?,
            }
        }
        Ok(Snapshot { db: self, begun })
    }

    /// A number that is another after somebody else has written.
    pub(crate) fn version(&self) -> Result<i64> {
        match self {
            Self::Sqlite(db) => Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?),
            Self::Postgres(_) => self
                .prepare_cached("SELECT coalesce(max(position), 0) FROM head")?
                .query_row(NONE, |row| row.get(0)),
        }
    }
}

/// One consistent state, until it is dropped.
pub(crate) struct Snapshot<'c> {
    db: &'c Connection,
    begun: bool,
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        if self.begun
            && self.db.is_busy()
            && let Err(error) = self.db.roll_back()
        {
            tracing::debug!(%error, "a snapshot did not end well; its connection is given up");
        }
    }
}

impl Error {
    /// Whether there was no room on the disk of this machine.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }

    /// Whether a commit that failed with it has certainly done nothing.
    pub(crate) fn is_undone(&self) -> bool {
        match self {
            Self::Postgres(error) => postgres::is_undone(error),
            // There was no room for the frame of the log that ends the commit, and without that no part of it counts.
            _ => self.is_full(),
        }
    }
}

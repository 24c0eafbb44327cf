//! The one file that knows how a database is opened.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::fault::Fault;

/// Each migration, in order; the database's `user_version` counts the ones it has, from
/// [`BEFORE_RELEASE`] on. Never edit one after a release.
const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_first.sql"), include_str!("../migrations/0002_policies.sql")];

/// The `user_version` of databases that were made before the first release, with another schema.
const BEFORE_RELEASE: usize = 1;

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);

/// How hard commits are pushed to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Every commit is on the disk before it is acknowledged: the only setting for a real system.
    Full,
    /// Commits are lost at a power cut. The negative control of the crash test: with this it must fail.
    OffForFaultTests,
}

/// Opens the database for the writer, and brings its schema up to date.
pub(crate) fn open_writer(path: &Path, sync: Sync) -> Result<Connection, Fault> {
    make_private(path)?;
    let mut db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", if sync == Sync::Full { "FULL" } else { "OFF" })?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.pragma_update(None, "trusted_schema", false)?;
    db.set_prepared_statement_cache_capacity(64);
    migrate(&mut db)?;
    Ok(db)
}

/// Makes a missing database file readable to its owner only, as SQLite then makes its log.
fn make_private(path: &Path) -> Result<(), Fault> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(why) if why.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(why) => Err(Fault::invalid("db_unusable", format!("{} cannot be made: {why}", path.display()))),
    }
}

/// Opens the database for reading alone.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -16_000)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

fn migrate(db: &mut Connection) -> Result<(), Fault> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let done: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = done as usize;
    if done == BEFORE_RELEASE {
        return Err(Fault::invalid(
            "db_too_old",
            "this database was made by a version before the first release, and cannot be brought up to date: start with \
             a new one",
        ));
    }
    let done = done.saturating_sub(BEFORE_RELEASE);
    if done > MIGRATIONS.len() {
        return Err(Fault::invalid(
            "db_too_new",
            "this database was made by a newer Keygate; use that version",
        ));
    }
    for migration in &MIGRATIONS[done..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", (BEFORE_RELEASE + MIGRATIONS.len()) as u32)?;
    tx.commit()?;
    Ok(())
}

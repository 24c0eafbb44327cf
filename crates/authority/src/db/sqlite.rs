//! SQLite: the database of one machine.

use std::{fs, os::unix::fs::OpenOptionsExt as _, path::Path, thread, time::Duration};

use rusqlite::{
    Connection, OpenFlags, ToSql,
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};

use super::{Error, MIGRATIONS, Result, Sync, Value};
use crate::fault::Fault;

/// The `user_version` of databases that were made before the first release, with another schema.
const BEFORE_RELEASE: usize = 1;

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(5);

/// After how many steps of a statement the processor is left to others: some 50 µs.
const STEPS_TOGETHER: i32 = 2000;

/// Opens the database for the writer, and brings its schema up to date.
pub(super) fn open_writer(path: &Path, sync: Sync) -> Result<Connection, Fault> {
    make_private(path)?;
    let mut db = Connection::open(path).map_err(Error::from)?;
    prepare(&mut db)?;
    prepare_writer(&db, sync)?;
    migrate(&mut db)?;
    Ok(db)
}

fn prepare_writer(db: &Connection, sync: Sync) -> Result<()> {
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", if sync == Sync::Full { "FULL" } else { "OFF" })?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "wal_autocheckpoint", 4000)?;
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// What every connection is.
fn prepare(db: &mut Connection) -> Result<()> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(128);
    // Else a statement that could go by a partial index is prepared anew each time, because of the values that it takes.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // The threads that decide are woken where there is room, and a kernel may let one that computes go on for many
    // milliseconds before it looks.
    let leave_room = || {
        thread::yield_now();
        false
    };
    Ok(db.progress_handler(STEPS_TOGETHER, Some(leave_room))?)
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
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    prepare(&mut db)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -16_000)?;
    Ok(db)
}

/// Brings the schema up to date. `user_version` counts the migrations that were made, from [`BEFORE_RELEASE`] on.
fn migrate(db: &mut Connection) -> Result<(), Fault> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(Error::from)?;
    let done: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(Error::from)?;
    let done = done as usize;
    if done == BEFORE_RELEASE {
        return Err(Fault::invalid(
            "db_too_old",
            "this database was made by a version before the first release, and cannot be brought up to date: start with \
             a new one",
        ));
    }
    for migration in super::missing(done.saturating_sub(BEFORE_RELEASE))? {
        tx.execute_batch(migration).map_err(Error::from)?;
    }
    let version = (BEFORE_RELEASE + MIGRATIONS.len()) as u32;
    tx.pragma_update(None, "user_version", version).map_err(Error::from)?;
    tx.commit().map_err(Error::from)?;
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A column of a row.
pub(super) fn column<'r>(row: &'r rusqlite::Row<'_>, at: usize) -> Result<Value<'r>> {
    Ok(match row.get_ref(at)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).map_err(|_| Error::Unreadable)?),
        ValueRef::Blob(bytes) => Value::Blob(bytes),
        // No column of ours is one: written by somebody else.
        ValueRef::Real(_) => return Err(Error::Unreadable),
    })
}

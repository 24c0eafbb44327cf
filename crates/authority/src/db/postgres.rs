//! PostgreSQL: the database that many nodes share.
//!
//! A change locks one row first, so that changes of all nodes stand in one line: positions are the order of commits, and
//! no two transactions can get into each other's way (`docs/decisions/postgres.md`).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use postgres::{
    Client, Statement,
    binary_copy::BinaryCopyInWriter,
    error::Severity,
    fallible_iterator::FallibleIterator as _,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use super::{Error, Result, Sync, Value};
use crate::fault::Fault;

mod address;
mod schema;

pub use address::Address;
pub use schema::{Role, Schema};

/// How many statements a connection keeps ready.
const STATEMENTS_MAX: usize = 128;

/// How many rows of a walk are fetched at once.
const FETCHED: usize = 4096;

/// What the server has said by itself since the last look: warnings, one of which tells that a commit may not be safe.
type Warnings = Arc<Mutex<Vec<String>>>;

/// A connection.
pub(crate) struct Connection {
    client: RefCell<Client>,
    ready: RefCell<HashMap<String, Statement>>,
    cursors: Cell<u64>,
    busy: Cell<bool>,
    /// Whether a part has ended for good that the server has not been told of yet.
    ended: Cell<bool>,
    warnings: Warnings,
}

impl Connection {
    /// Opens it for the writer: nothing is acknowledged that the server, and its standby if it has one, may forget.
    pub(super) fn open_writer(address: &Address, sync: Sync) -> Result<Self, Fault> {
        let db = Self::open(address)?;
        let level = if sync == Sync::Full { "on" } else { "off" };
        // The lock is the only thing that is waited for with a limit: a commit is never broken off. A node that stands still
        // in the middle of a change keeps the others waiting no longer than that either.
        db.run(&format!(
            "SET synchronous_commit = {level}; SET lock_timeout = '5s'; SET statement_timeout = 0;
             SET idle_in_transaction_session_timeout = '3s'"
        ))?;
        schema::is_current(&db)?;
        if sync == Sync::Full {
            schema::is_safe(&db, address)?;
        }
        Ok(db)
    }

    /// Opens it for reading alone.
    pub(super) fn open_reader(address: &Address) -> Result<Self, Fault> {
        let db = Self::open(address)?;
        db.run("SET default_transaction_read_only = on; SET statement_timeout = '60s'")?;
        Ok(db)
    }

    /// Opens it for whoever owns the schema: nobody else may write all that there is.
    pub(super) fn open_owner(address: &Address) -> Result<Self, Fault> {
        let db = Self::open(address)?;
        schema::is_current(&db)?;
        Ok(db)
    }

    fn open(address: &Address) -> Result<Self, Fault> {
        let warnings = Warnings::default();
        let told = Arc::clone(&warnings);
        let client = address.connect(move |notice| {
            if notice.parsed_severity() == Some(Severity::Warning) {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(notice.message().to_owned());
            }
        })?;
        Ok(Self {
            client: RefCell::new(client),
            ready: RefCell::default(),
            cursors: Cell::new(0),
            busy: Cell::new(false),
            ended: Cell::new(false),
            warnings,
        })
    }

    pub(super) fn run(&self, sql: &str) -> Result<()> {
        self.client.borrow_mut().batch_execute(sql)?;
        match sql.split([' ', ';']).next() {
            Some("BEGIN") => self.busy.set(true),
            Some("COMMIT") => self.busy.set(false),
            Some("ROLLBACK") if sql == "ROLLBACK" => self.busy.set(false),
            _ => {}
        }
        Ok(())
    }

    /// Begins a change, and takes its turn. Only here could two transactions be in each other's way, so only here is tried
    /// again.
    pub(super) fn begin(&self) -> Result<()> {
        let mut tries_left = 3;
        self.ended.set(false);
        loop {
            // Where the turn does not come, the transaction has begun all the same.
            self.busy.set(true);
            let turn = self.run("BEGIN; SELECT one FROM turn FOR UPDATE");
            let Err(Error::Postgres(error)) = turn else { return turn };
            tries_left -= 1;
            if tries_left == 0 || !is_undone(&error) {
                return Err(error.into());
            }
            self.run("ROLLBACK")?;
        }
    }

    /// Begins a part. That the one before has ended goes with it.
    pub(super) fn begin_part(&self) -> Result<()> {
        self.run(if self.ended.get() { "RELEASE part; SAVEPOINT part" } else { "SAVEPOINT part" })?;
        self.ended.set(false);
        Ok(())
    }

    /// Ends a part for good: the server hears of it with what follows, and nothing is committed unless it agrees.
    pub(super) fn end_part(&self) -> Result<()> {
        self.ended.set(true);
        Ok(())
    }

    /// Commits. After an error there may be something left to roll back.
    pub(super) fn commit(&self) -> Result<()> {
        self.warnings().clear();
        // In a transaction that has failed, COMMIT alone would undo everything and call it a success; RELEASE is an error.
        self.run(if self.ended.get() { "RELEASE part; COMMIT" } else { "COMMIT" })?;
        self.busy.set(false);
        // Somebody ended the wait for the standby: it is committed here, and may be nowhere else.
        match self.warnings().pop() {
            Some(warning) => Err(Error::Warned(warning)),
            None => Ok(()),
        }
    }

    fn warnings(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.get() && !self.is_lost()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.client.borrow().is_closed()
    }

    /// The statement with this text, made ready once.
    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.ready.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.borrow_mut().prepare(sql)?;
        let mut ready = self.ready.borrow_mut();
        if ready.len() >= STATEMENTS_MAX {
            ready.clear();
        }
        ready.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64> {
        Ok(self.client.borrow_mut().execute(statement, &bound(values))?)
    }

    pub(super) fn query(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Rows<'_>> {
        let mut client = self.client.borrow_mut();
        let rows: Vec<_> = client.query_raw(statement, bound(values))?.collect()?;
        Ok(Rows { cursor: None, rows: rows.into_iter(), current: None })
    }

    /// Writes rows in bulk.
    pub(super) fn copy_in(
        &self,
        sql: &str,
        kinds: &[Type],
        write: &mut dyn FnMut(&mut BinaryCopyInWriter<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut client = self.client.borrow_mut();
        let mut writer = BinaryCopyInWriter::new(client.copy_in(sql).map_err(Error::from)?, kinds);
        write(&mut writer)?;
        writer.finish().map_err(Error::from)?;
        Ok(())
    }

    /// Rows that come bit by bit from a cursor, within a transaction; outside of one, all at once.
    pub(super) fn walk(&self, sql: &str, values: &[Value<'_>]) -> Result<Rows<'_>> {
        if !self.is_busy() {
            return self.query(&self.prepare(sql)?, values);
        }
        let number = self.cursors.get();
        self.cursors.set(number + 1);
        let declare = format!("DECLARE walk_{number} NO SCROLL CURSOR FOR {sql}");
        self.client.borrow_mut().execute(&declare, &bound(values))?;
        let cursor = Cursor { db: self, fetch: format!("FETCH {FETCHED} FROM walk_{number}"), number };
        Ok(Rows { cursor: Some(cursor), rows: Vec::new().into_iter(), current: None })
    }
}

fn bound<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + std::marker::Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + std::marker::Sync)).collect()
}

/// A place in a walk.
struct Cursor<'c> {
    db: &'c Connection,
    fetch: String,
    number: u64,
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // A transaction that has failed or ended has closed it already.
        if self.db.is_busy()
            && let Err(error) = self.db.run(&format!("CLOSE walk_{}", self.number))
        {
            tracing::debug!(%error, "a cursor was closed already");
        }
    }
}

/// Rows, one after the other.
pub(crate) struct Rows<'c> {
    cursor: Option<Cursor<'c>>,
    rows: std::vec::IntoIter<postgres::Row>,
    current: Option<postgres::Row>,
}

impl Rows<'_> {
    pub(super) fn next(&mut self) -> Result<Option<&postgres::Row>> {
        if self.rows.as_slice().is_empty()
            && let Some(cursor) = &self.cursor
        {
            let fetched = cursor.db.client.borrow_mut().query(&cursor.fetch, &[])?;
            self.rows = fetched.into_iter();
        }
        self.current = self.rows.next();
        Ok(self.current.as_ref())
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + std::marker::Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT4 => i32::try_from(number)?.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Blob(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT4, Type::INT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

impl<'r> FromSql<'r> for Value<'r> {
    fn from_sql(
        kind: &Type,
        raw: &'r [u8],
    ) -> std::result::Result<Self, Box<dyn std::error::Error + std::marker::Sync + Send>> {
        Ok(match *kind {
            Type::BOOL => Self::Int(i64::from(bool::from_sql(kind, raw)?)),
            Type::INT4 => Self::Int(i64::from(i32::from_sql(kind, raw)?)),
            Type::INT8 => Self::Int(i64::from_sql(kind, raw)?),
            Type::BYTEA => Self::Blob(raw),
            _ => Self::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(
        _: &Type,
    ) -> std::result::Result<Self, Box<dyn std::error::Error + std::marker::Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        [Type::BOOL, Type::INT4, Type::INT8, Type::TEXT, Type::VARCHAR, Type::NAME, Type::BYTEA]
            .contains(kind)
    }
}

/// Whether a server that said so has certainly done nothing: a conflict with another transaction, a lock that did not come
/// free (SQLSTATE classes 40 and 55), or a transaction that had failed before (25P02).
pub(super) fn is_undone(error: &postgres::Error) -> bool {
    let said = error.code().map_or("", |code| code.code());
    said.starts_with("40") || said.starts_with("55") || said == "25P02"
}

/// An error with what the server said: the library's own words leave that out.
pub(super) fn told(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(said) => format!("{} ({})", said.message(), said.code().code()),
        None => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(error);
            while let Some(cause) = source {
                text.push_str(&format!(": {cause}"));
                source = cause.source();
            }
            text
        }
    }
}

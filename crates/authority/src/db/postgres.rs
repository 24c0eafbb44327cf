//! PostgreSQL: the database that many nodes share.
//!
//! A change locks one row first, so that changes of all nodes stand in one line: positions are the order of commits, and
//! no two transactions can get into each other's way (`docs/decisions/postgres.md`).

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    pin::Pin,
    sync::Arc,
};

use tokio_postgres::{Statement, binary_copy::BinaryCopyInWriter, types::Type};

use super::{Error, Result, Sync, Value};
use crate::fault::Fault;

mod address;
mod line;
mod schema;
mod value;

pub use address::Address;
pub use schema::{Role, Schema};

use line::Line;
use value::{Kept, bound};

/// How many statements a connection keeps ready.
const STATEMENTS_MAX: usize = 128;

/// How many rows of a walk are fetched at once.
const FETCHED: usize = 4096;

/// A connection.
pub(crate) struct Connection {
    line: Line,
    ready: RefCell<HashMap<String, Statement>>,
    cursors: Cell<u64>,
    busy: Cell<bool>,
    /// Whether a part has begun, and whether one before it has ended for good, that the server has not been told of yet.
    begun: Cell<bool>,
    ended: Cell<bool>,
}

impl Connection {
    /// Opens it for the writer: nothing is acknowledged that the server, and its standby if it has one, may forget.
    pub(super) fn open_writer(address: &Address, sync: Sync) -> Result<Self, Fault> {
        let db = Self::open(address)?;
        let level = if sync == Sync::Full { "on" } else { "off" };
        // Every statement of the writer finds its rows by an index. Plans are made once, from what the server knows of its
        // tables by then: of an empty one it knows that all of it is read soonest, and would read all of it for ever. (Where
        // there is no index, that a whole table is read counts as so dear that compiling the statement would seem worth it.)
        //
        // The lock is the only thing that is waited for with a limit: a commit is never broken off. A node that stands still
        // in the middle of a change keeps the others waiting no longer than that either.
        db.run(&format!(
            "SET synchronous_commit = {level}; SET lock_timeout = '5s'; SET statement_timeout = 0;
             SET idle_in_transaction_session_timeout = '3s';
             SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off"
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
        Ok(Self {
            line: address.connect()?,
            ready: RefCell::default(),
            cursors: Cell::new(0),
            busy: Cell::new(false),
            begun: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    pub(super) fn run(&self, sql: &str) -> Result<()> {
        if sql == "ROLLBACK" {
            // Whatever was said is undone, also what has failed.
            self.begun.set(false);
            self.line.disregard();
        }
        self.ask(self.line.client().batch_execute(sql))?;
        match sql.split([' ', ';']).next() {
            Some("BEGIN") => self.busy.set(true),
            Some("COMMIT") => self.busy.set(false),
            Some("ROLLBACK") if sql == "ROLLBACK" => self.busy.set(false),
            _ => {}
        }
        Ok(())
    }

    fn ask<T>(&self, question: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        self.announce()?;
        Ok(self.line.ask(question)?)
    }

    /// Tells the server that a part has begun.
    fn announce(&self) -> Result<()> {
        if self.begun.take() {
            let sql = if self.ended.take() { "RELEASE part; SAVEPOINT part" } else { "SAVEPOINT part" };
            let client = Arc::clone(self.line.client());
            self.line.say(async move { client.batch_execute(sql).await })?;
        }
        Ok(())
    }

    /// Begins a change, and takes its turn. Only here could two transactions be in each other's way, so only here is tried
    /// again.
    pub(super) fn begin(&self) -> Result<()> {
        let mut tries_left = 3;
        self.begun.set(false);
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

    /// Begins a part: the server hears of it, and that the one before has ended, with what comes first in it.
    pub(super) fn begin_part(&self) {
        self.begun.set(true);
    }

    /// Ends a part: for good, which the server hears of with what follows, and nothing is committed unless it agrees; or
    /// undone.
    pub(super) fn end_part(&self, for_good: bool) -> Result<()> {
        if self.begun.take() {
            // Nothing was said in it.
            return Ok(());
        }
        let settled = if for_good { self.line.settle() } else { Ok(()) };
        if for_good && settled.is_ok() {
            self.ended.set(true);
            return Ok(());
        }
        self.line.disregard();
        self.run("ROLLBACK TO part; RELEASE part")?;
        Ok(settled?)
    }

    /// Commits. After an error there may be something left to roll back.
    pub(super) fn commit(&self) -> Result<()> {
        self.line.settle()?;
        self.line.warnings().clear();
        // In a transaction that has failed, COMMIT alone would undo everything and call it a success; a question is an error.
        self.run("SELECT 1; COMMIT")?;
        self.busy.set(false);
        // Somebody ended the wait for the standby: it is committed here, and may be nowhere else.
        match self.line.warnings().pop() {
            Some(warning) => Err(Error::Warned(warning)),
            None => Ok(()),
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.get() && !self.is_lost()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.line.is_closed()
    }

    /// The statement with this text, made ready once.
    pub(super) fn prepare(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.ready.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.ask(self.line.client().prepare(sql))?;
        let mut ready = self.ready.borrow_mut();
        if ready.len() >= STATEMENTS_MAX {
            ready.clear();
        }
        ready.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn execute(&self, statement: &Statement, values: &[Value<'_>]) -> Result<u64> {
        self.ask(self.line.client().execute(statement, &bound(values)))
    }

    /// Runs a statement, and hears how it went with the next one that is waited for.
    pub(super) fn put(&self, statement: &Statement, values: &[Value<'_>]) -> Result<()> {
        self.announce()?;
        let (client, statement) = (Arc::clone(self.line.client()), statement.clone());
        let values: Vec<_> = values.iter().map(|value| Kept::from(*value)).collect();
        Ok(self.line.say(async move { client.execute_raw(&statement, values).await.map(drop) })?)
    }

    pub(super) fn query(&self, statement: &Statement, values: &[Value<'_>]) -> Result<Rows<'_>> {
        let rows = self.ask(self.line.client().query(statement, &bound(values)))?;
        Ok(Rows { cursor: None, rows: rows.into_iter(), current: None })
    }

    /// Writes rows in bulk.
    pub(super) fn copy_in(
        &self,
        sql: &str,
        kinds: &[Type],
        write: &mut dyn FnMut(&mut Bulk<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let sink = self.ask(self.line.client().copy_in(sql))?;
        let mut bulk = Bulk { db: self, writer: Box::pin(BinaryCopyInWriter::new(sink, kinds)) };
        write(&mut bulk)?;
        self.ask(bulk.writer.as_mut().finish())?;
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
        self.ask(self.line.client().execute(&declare, &bound(values)))?;
        let cursor = Cursor { db: self, fetch: format!("FETCH {FETCHED} FROM walk_{number}"), number };
        Ok(Rows { cursor: Some(cursor), rows: Vec::new().into_iter(), current: None })
    }
}

/// Rows on their way into a table.
pub(crate) struct Bulk<'c> {
    db: &'c Connection,
    writer: Pin<Box<BinaryCopyInWriter>>,
}

impl Bulk<'_> {
    /// One more.
    pub(crate) fn write(&mut self, values: &[Value<'_>]) -> Result<()> {
        self.db.ask(self.writer.as_mut().write(&bound(values)))
    }
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
    rows: std::vec::IntoIter<tokio_postgres::Row>,
    current: Option<tokio_postgres::Row>,
}

impl Rows<'_> {
    pub(super) fn next(&mut self) -> Result<Option<&tokio_postgres::Row>> {
        if self.rows.as_slice().is_empty()
            && let Some(cursor) = &self.cursor
        {
            let fetched = cursor.db.ask(cursor.db.line.client().query(&cursor.fetch, &[]))?;
            self.rows = fetched.into_iter();
        }
        self.current = self.rows.next();
        Ok(self.current.as_ref())
    }
}

/// Whether a server that said so has certainly done nothing: a conflict with another transaction, a lock that did not come
/// free (SQLSTATE classes 40 and 55), or a transaction that had failed before (25P02).
pub(super) fn is_undone(error: &tokio_postgres::Error) -> bool {
    let said = error.code().map_or("", |code| code.code());
    said.starts_with("40") || said.starts_with("55") || said == "25P02"
}

/// An error with what the server said: the library's own words leave that out.
pub(super) fn told(error: &tokio_postgres::Error) -> String {
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

#[cfg(test)]
mod tests;

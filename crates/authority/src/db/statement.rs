//! Statements, and the rows that they find.

use super::{Column, Error, Params, Result, Value, postgres, sqlite};

/// A statement that is ready.
pub(crate) enum Statement<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres(&'c postgres::Connection, tokio_postgres::Statement),
}

impl Statement<'_> {
    /// Runs it, and tells how many rows it changed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<u64> {
        let values = params.values();
        match self {
            Self::Sqlite(statement) => Ok(statement.execute(rusqlite::params_from_iter(&values))? as u64),
            Self::Postgres(db, statement) => db.execute(statement, &values),
        }
    }

    /// Runs it without waiting for the answer, which comes with the next that is waited for: at the end of the part at the
    /// latest.
    pub(crate) fn put(&mut self, params: impl Params) -> Result<()> {
        match self {
            Self::Sqlite(_) => self.execute(params).map(drop),
            Self::Postgres(db, statement) => db.put(statement, &params.values()),
        }
    }

    /// The rows that it finds.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        let values = params.values();
        Ok(match self {
            Self::Sqlite(statement) => Rows::Sqlite(statement.query(rusqlite::params_from_iter(&values))?),
            Self::Postgres(db, statement) => Rows::Postgres(db.query(statement, &values)?),
        })
    }

    /// The one row that it finds.
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(params)?;
        read(rows.next()?.ok_or(Error::Unreadable)?)
    }
}

/// A statement that finds many rows.
pub(crate) enum Walk<'c> {
    Sqlite(rusqlite::Statement<'c>),
    Postgres(&'c postgres::Connection, String),
}

impl Walk<'_> {
    /// The rows that it finds.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        let values = params.values();
        Ok(match self {
            Self::Sqlite(statement) => Rows::Sqlite(statement.query(rusqlite::params_from_iter(&values))?),
            Self::Postgres(db, sql) => Rows::Postgres(db.walk(sql, &values)?),
        })
    }
}

/// Rows, one after the other.
pub(crate) enum Rows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres(postgres::Rows<'s>),
}

impl Rows<'_> {
    /// The next; none after the last.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(match self {
            Self::Sqlite(rows) => rows.next()?.map(Cells::Sqlite),
            Self::Postgres(rows) => rows.next()?.map(Cells::Postgres),
        }
        .map(|cells| Row { cells, first: 0 }))
    }
}

/// A row, from one of its columns on.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r> {
    cells: Cells<'r>,
    first: usize,
}

#[derive(Clone, Copy)]
enum Cells<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl<'r> Row<'r> {
    /// What is left of it from the column with this number on: rows of several tables may stand in one.
    pub(crate) fn after(self, columns: usize) -> Self {
        Self { first: self.first + columns, ..self }
    }

    /// What the column with this number has, counted from 0.
    pub(crate) fn get<T: Column>(self, at: usize) -> Result<T> {
        T::of(self.get_ref(at)?).ok_or(Error::Unreadable)
    }

    /// The same, where it lies.
    pub(crate) fn get_ref(self, at: usize) -> Result<Value<'r>> {
        let at = self.first + at;
        match self.cells {
            Cells::Sqlite(row) => sqlite::column(row, at),
            Cells::Postgres(row) => Ok(row.try_get(at)?),
        }
    }
}

//! Copying the record from a file to a server, with a proof that both hold the same.

use sha2::{Digest as _, Sha256};
use tokio_postgres::types::Type;

use super::{Address, Connection, Db, Error, NONE, TABLES, Value, open_reader, postgres as server};
use crate::fault::Fault;

/// A table that was copied, and that its rows are the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Which.
    pub table: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over all of its values, in the order of its keys, read from either side.
    pub digest: [u8; 32],
}

/// Copies everything to an empty, migrated database, as the owner of its schema: all of it, or nothing. `progress` is told
/// the table and how many of how many rows are done.
///
/// # Errors
/// `db_not_empty`; `db_copy_moved` if somebody wrote to the source meanwhile; `db_copy_differs` if what was written reads
/// otherwise; storage faults.
pub fn copy(
    from: &Db,
    to: &Address,
    progress: &mut (dyn FnMut(&'static str, u64, u64) + Send),
) -> Result<Vec<Copied>, Fault> {
    super::off_the_runtime(|| {
        let source = open_reader(from)?;
        let target = Connection::Postgres(Box::new(server::Connection::open_owner(to)?));
        target.run("BEGIN")?;
        let copied = copy_all(&source, &target, progress);
        target.run(if copied.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        copied
    })
}

fn copy_all(
    source: &Connection,
    target: &Connection,
    progress: &mut (dyn FnMut(&'static str, u64, u64) + Send),
) -> Result<Vec<Copied>, Fault> {
    let before = source.version()?;
    let snapshot = source.snapshot()?;
    let mut copied = Vec::new();
    for table in TABLES {
        if count(target, table)? > 0 {
            let why = format!("table {table} has rows already: a record is copied to an empty database");
            return Err(Fault::invalid("db_not_empty", why));
        }
        copied.push(copy_table(source, target, table, progress)?);
    }
    drop(snapshot);
    if source.version()? != before {
        let why = "somebody wrote to the source meanwhile: stop the server on it, and copy again";
        return Err(Fault::invalid("db_copy_moved", why));
    }
    for table in &copied {
        let rows = count(target, table.table)?;
        if (digest(target, table.table)?, rows) != (table.digest, table.rows) {
            let why =
                format!("table {} reads otherwise than it was written; nothing was copied", table.table);
            return Err(Fault::invalid("db_copy_differs", why));
        }
    }
    Ok(copied)
}

fn count(db: &Connection, table: &str) -> Result<u64, Error> {
    let count: i64 =
        db.prepare_cached(&format!("SELECT count(*) FROM {table}"))?.query_row(NONE, |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The statement that reads a table whole. Two columns are the most that a key of ours has.
fn whole(table: &str) -> String {
    format!("SELECT * FROM {table} ORDER BY 1, 2")
}

fn copy_table(
    source: &Connection,
    target: &Connection,
    table: &'static str,
    progress: &mut (dyn FnMut(&'static str, u64, u64) + Send),
) -> Result<Copied, Fault> {
    let (all, mut done, mut hasher) = (count(source, table)?, 0, Sha256::new());
    let kinds = target.kinds(&whole(table))?;
    target.copy_in(&format!("COPY {table} FROM STDIN BINARY"), &kinds, &mut |write| {
        let mut select = source.prepare_walk(&whole(table))?;
        let mut rows = select.query(NONE)?;
        while let Some(row) = rows.next()? {
            let values = (0..kinds.len()).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
            values.iter().for_each(|value| feed(&mut hasher, *value));
            write.write(&values)?;
            done += 1;
            if done % 1000 == 0 || done == all {
                progress(table, done, all);
            }
        }
        Ok(())
    })?;
    Ok(Copied { table, rows: done, digest: hasher.finalize().into() })
}

fn digest(db: &Connection, table: &str) -> Result<[u8; 32], Error> {
    let (columns, mut hasher) = (db.kinds(&whole(table))?.len(), Sha256::new());
    let mut select = db.prepare_walk(&whole(table))?;
    let mut rows = select.query(NONE)?;
    while let Some(row) = rows.next()? {
        for at in 0..columns {
            feed(&mut hasher, row.get_ref(at)?);
        }
    }
    Ok(hasher.finalize().into())
}

fn feed(hasher: &mut Sha256, value: Value<'_>) {
    let (kind, bytes): (u8, &[u8]) = match &value {
        Value::Null => (0, &[]),
        Value::Int(number) => (1, &number.to_be_bytes()),
        Value::Text(text) => (2, text.as_bytes()),
        Value::Blob(bytes) => (3, bytes),
    };
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

impl Connection {
    /// What the columns are that a statement finds, on a server.
    fn kinds(&self, sql: &str) -> Result<Vec<Type>, Error> {
        match self {
            Self::Sqlite(_) => Err(Error::Unreadable),
            Self::Postgres(db) => {
                Ok(db.prepare(sql)?.columns().iter().map(|column| column.type_().clone()).collect())
            }
        }
    }

    /// Writes rows in bulk, on a server.
    fn copy_in(
        &self,
        sql: &str,
        kinds: &[Type],
        write: &mut dyn FnMut(&mut server::Bulk<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self {
            Self::Sqlite(_) => Err(Error::Unreadable.into()),
            Self::Postgres(db) => db.copy_in(sql, kinds, write),
        }
    }
}

//! The feed: what gates follow. Reads the event log, and tells the present state of everything that it says has changed.
//!
//! State, not difference: a batch may tell more than its position, never less, and applying it twice is applying it
//! once. One path serves this process's own commits, another process's, and the start.

use keygate_model::{
    Batch, Position, Record, Subject,
    id::{Id, Noun},
};
use rusqlite::Connection;

use crate::{customer, event, fault::Fault, keys::Keys, service, token, user};

/// Where batches go.
pub type Sink = Box<dyn FnMut(Batch) + Send>;

/// How many records a batch of the snapshot holds.
const SNAPSHOT_BATCH: usize = 8192;

/// The feed of this process.
pub(crate) struct Feed {
    position: Position,
    data_version: i64,
    /// None: nobody listens, and nothing is read for nobody.
    sink: Option<Sink>,
}

impl Feed {
    /// A feed that nobody listens to: the command line's.
    pub(crate) fn silent() -> Self {
        Self { position: Position(0), data_version: 0, sink: None }
    }

    /// Tells everything there is, and goes on from there.
    pub(crate) fn start(db: &Connection, keys: &Keys, mut sink: Sink) -> Result<Self, Fault> {
        let data_version = data_version(db)?;
        let snapshot = db.unchecked_transaction()?;
        let position: Option<i64> = db.query_row("SELECT max(position) FROM events", [], |row| row.get(0))?;
        let position = Position(position.unwrap_or(0));
        let mut records = Vec::new();
        let mut tell = |record: Record| {
            records.push(record);
            if records.len() >= SNAPSHOT_BATCH {
                sink(Batch { position, records: std::mem::take(&mut records) });
            }
        };
        customer::each(db, keys, &mut tell)?;
        user::each(db, keys, &mut tell)?;
        service::each(db, keys, &mut tell)?;
        token::each(db, keys, &mut tell)?;
        sink(Batch { position, records });
        snapshot.commit()?;
        Ok(Self { position, data_version, sink: Some(sink) })
    }

    /// Tells what has happened since the last call.
    pub(crate) fn catch_up(&mut self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let snapshot = db.unchecked_transaction()?;
        let (position, touched) = event::touched_after(db, self.position)?;
        if position == self.position {
            return Ok(());
        }
        let mut records = Vec::with_capacity(touched.len());
        for subject in touched {
            records.push(present(db, keys, subject)?);
        }
        snapshot.commit()?;
        sink(Batch { position, records });
        self.position = position;
        Ok(())
    }

    /// The same, if another connection has written since the last call; that is cheap to ask.
    pub(crate) fn catch_up_if_changed(&mut self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let data_version = data_version(db)?;
        if data_version == self.data_version {
            return Ok(());
        }
        self.catch_up(db, keys)?;
        self.data_version = data_version;
        Ok(())
    }
}

/// What is true of a thing now. A row that fails its seal is told as broken: nothing about it may be believed.
fn present(db: &Connection, keys: &Keys, subject: Subject) -> Result<Record, Fault> {
    let record = match subject {
        Subject::Customer(id) => customer::find(db, keys, id).map(|row| Record::Customer(row.record())),
        Subject::User(id) => user::find(db, keys, id).map(|row| Record::User(row.record())),
        Subject::Service(id) => service::find(db, keys, id).map(|row| Record::Service(row.record())),
        Subject::Token(id) => token::find(db, keys, id).map(|row| Record::Token(row.record())),
        Subject::None => return Ok(Record::Broken(subject)),
    };
    match record {
        Err(Fault::Tampered { .. } | Fault::Missing { .. }) => {
            tracing::error!(
                ?subject,
                "a row fails its seal or is gone: nothing it says is believed; run `keygate audit verify`"
            );
            Ok(Record::Broken(subject))
        }
        other => other,
    }
}

/// A row in a walk over a table: believed if it is sealed, and is the one that the last event about it left.
pub(crate) fn believed<N: Noun>(
    sealed: bool,
    id: Id<N>,
    position: Position,
    last: Option<Position>,
) -> Result<(), Fault> {
    if sealed && last == Some(position) { Ok(()) } else { Err(Fault::tampered(id)) }
}

fn data_version(db: &Connection) -> Result<i64, Fault> {
    Ok(db.pragma_query_value(None, "data_version", |row| row.get(0))?)
}

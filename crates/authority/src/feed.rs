//! The feed: what gates follow. Reads the event log, and tells the present state of everything that it says has changed.
//!
//! State, not difference: a batch may tell more than its position, never less, and applying it twice is applying it
//! once. One path serves this process's own commits, another process's, and the start.

use std::{collections::HashMap, sync::Arc};

use crate::{
    chain::{Head, SealSum},
    customer,
    db::Connection,
    event,
    fault::Fault,
    invitation,
    keys::Keys,
    mass_revoke,
    policy::{self, InForce},
    row::{self, Sealed},
    service, token, user,
};
use keygate_model::{Batch, MassRevokeId, Position, Record, Subject, id::Id};

/// Where batches go.
pub type Sink = Box<dyn FnMut(Batch) + Send>;

/// Where a walk over a table tells each row: the seal if it is believed, and the record if a gate wants it.
type Tell<'t> = dyn FnMut(Option<Record>, Option<[u8; 32]>) + 't;

/// How many records a batch of the snapshot holds.
const SNAPSHOT_BATCH: usize = 8192;

/// The feed of this process.
pub(crate) struct Feed {
    /// The last event that was told. What follows must continue the chain from here.
    head: Head,
    data_version: i64,
    in_force: Arc<InForce>,
    /// None: nobody listens, and nothing is read for nobody.
    sink: Option<Sink>,
}

impl Feed {
    /// A feed that nobody listens to: the command line's.
    pub(crate) fn silent(in_force: Arc<InForce>) -> Self {
        Self { head: Head::START, data_version: 0, in_force, sink: None }
    }

    /// Tells everything there is, and goes on from there.
    pub(crate) fn start(
        db: &Connection,
        keys: &Keys,
        in_force: Arc<InForce>,
        mut sink: Sink,
    ) -> Result<Self, Fault> {
        let data_version = db.version()?;
        let snapshot = db.snapshot()?;
        let head = match Head::read(db, keys) {
            Err(Fault::Tampered { .. }) => None,
            head => Some(head?),
        };
        let position = head.map_or(Position(0), |head| head.position);
        let (mut records, mut seals) = (Vec::new(), SealSum::default());
        let mut tell = |record: Option<Record>, seal: Option<[u8; 32]>| {
            seal.inspect(|seal| seals.add(seal));
            records.extend(record);
            if records.len() >= SNAPSHOT_BATCH {
                sink(Batch { position, records: std::mem::take(&mut records) });
            }
        };
        each::<mass_revoke::Row>(db, keys, &mut tell)?;
        let over = mass_revoke::over_all(db, keys, head.map_or(0, |head| head.unnoted))?;
        each::<policy::Row>(db, keys, &mut tell)?;
        each::<customer::Row>(db, keys, &mut tell)?;
        each::<user::Row>(db, keys, &mut tell)?;
        each::<service::Row>(db, keys, &mut tell)?;
        each::<token::Row>(db, keys, &mut |record, seal| {
            let gone = |record: &Record| match (record, &over) {
                (Record::Token(token), Some(over)) => over.contains(&token.id),
                _ => false,
            };
            tell(record.filter(|record| !gone(record)), seal);
        })?;
        each::<invitation::Row>(db, keys, &mut tell)?;
        // Where all rows add up, nothing was planted, lost or set back, and the log need not be walked. Where they do
        // not, rows are known by the last event about them, which is worth as much as the log is whole.
        let whole = match &head {
            // Whether tokens are revoked cannot be told.
            Some(_) if over.is_none() => false,
            Some(head) => head.seals == seals || event::is_whole(db, head)?,
            None => false,
        };
        if !whole {
            tracing::error!(
                "the log of events is not whole: nothing is believed; run `keygate audit verify`"
            );
            records.push(Record::Broken(Subject::None));
        }
        sink(Batch { position, records });
        drop(snapshot);
        Ok(Self { head: head.unwrap_or(Head::START), data_version, in_force, sink: Some(sink) })
    }

    /// Tells what has happened since the last call.
    pub(crate) fn catch_up(&mut self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let Some(sink) = &mut self.sink else { return Ok(()) };
        let snapshot = db.snapshot()?;
        let told = continued(db, keys, &self.head).inspect_err(|fault| {
            if matches!(fault, Fault::Tampered { .. }) {
                // What has happened cannot be known, so what is allowed cannot be told.
                sink(Batch { position: self.head.position, records: vec![Record::Broken(Subject::None)] });
            }
        })?;
        if let Some((head, records)) = told {
            let is_policy =
                |record: &Record| matches!(record, Record::Policy(_) | Record::Broken(Subject::Policy(_)));
            if records.iter().any(is_policy) {
                self.in_force.read(db, keys)?;
            }
            sink(Batch { position: head.position, records });
            self.head = head;
        }
        drop(snapshot);
        Ok(())
    }

    /// How far gates were told. None: nobody is, or nothing is believed.
    pub(crate) fn told(&self) -> Option<Head> {
        Some(self.head).filter(|head| self.sink.is_some() && head.position > Position(0))
    }

    /// Whether there are mass revokes to be noted in the rows of tokens: by whoever tells gates, once they know.
    pub(crate) fn has_unnoted(&self) -> bool {
        self.sink.is_some() && self.head.unnoted > 0
    }

    /// Tells what has happened, if another connection has written since the last call; that is cheap to ask.
    pub(crate) fn catch_up_if_changed(&mut self, db: &Connection, keys: &Keys) -> Result<(), Fault> {
        let data_version = db.version()?;
        if data_version == self.data_version {
            return Ok(());
        }
        self.catch_up(db, keys)?;
        self.data_version = data_version;
        Ok(())
    }
}

/// The sealed head, and the present state of what changed on the way to it. None: nothing did.
fn continued(db: &Connection, keys: &Keys, from: &Head) -> Result<Option<(Head, Vec<Record>)>, Fault> {
    let head = Head::read(db, keys)?;
    if head == *from {
        return Ok(None);
    }
    if head.raised != from.raised {
        tracing::error!("another epoch was begun: this node believes nothing until it is started again");
        return Err(Head::tampered());
    }
    let touched = event::touched_between(db, from, &head)?;
    let mut read = HashMap::new();
    let tokens = touched.iter().filter_map(|subject| match subject {
        Subject::Token(id) => Some(*id),
        _ => None,
    });
    together::<token::Row>(db, keys, tokens, &mut read)?;
    let users = touched.iter().filter_map(|subject| match subject {
        Subject::User(id) => Some(*id),
        _ => None,
    });
    together::<user::Row>(db, keys, users, &mut read)?;
    let mut records = Vec::new();
    for subject in touched {
        match (subject, read.remove(&subject)) {
            (Subject::MassRevoke(id), _) => records.extend(revoked(db, keys, id)?),
            (_, Some(found)) => records.extend(believed(subject, found)?),
            (_, None) => records.extend(present(db, keys, subject)?),
        }
    }
    Ok(Some((head, records)))
}

/// What was found of the thing that it is about.
type Found = Result<Option<Record>, Fault>;

/// Reads what is true of many things of one kind, which there are many of after one commit, with few questions.
fn together<R: Sealed>(
    db: &Connection,
    keys: &Keys,
    ids: impl Iterator<Item = Id<R::Noun>>,
    read: &mut HashMap<Subject, Found>,
) -> Result<(), Fault> {
    let ids: Vec<_> = ids.collect();
    if ids.len() < 2 {
        return Ok(());
    }
    row::find_some::<R>(db, keys, &ids, &mut |id, row| {
        read.insert(R::subject(id), row.map(|row| row.record()));
    })
}

/// What is true of a thing now.
fn present(db: &Connection, keys: &Keys, subject: Subject) -> Found {
    let found = match subject {
        Subject::Customer(id) => of::<customer::Row>(db, keys, id),
        Subject::User(id) => of::<user::Row>(db, keys, id),
        Subject::Service(id) => of::<service::Row>(db, keys, id),
        Subject::Token(id) => of::<token::Row>(db, keys, id),
        Subject::Invitation(id) => of::<invitation::Row>(db, keys, id),
        Subject::Policy(id) => of::<policy::Row>(db, keys, id),
        Subject::MassRevoke(_) | Subject::None => return Ok(Some(Record::Broken(Subject::None))),
    };
    believed(subject, found)
}

/// What is told of what was found. A row that fails its seal is told as broken: nothing about it may be believed.
fn believed(subject: Subject, found: Found) -> Found {
    match found {
        Err(Fault::Tampered { .. } | Fault::Missing { .. }) => {
            tracing::error!(
                ?subject,
                "a row fails its seal or is gone: nothing it says is believed; run `keygate audit verify`"
            );
            Ok(Some(Record::Broken(subject)))
        }
        other => other,
    }
}

/// The tokens of a mass revoke. One whose row fails its seal may have been about any token.
fn revoked(db: &Connection, keys: &Keys, id: MassRevokeId) -> Result<Vec<Record>, Fault> {
    match mass_revoke::told(db, keys, id) {
        Err(Fault::Tampered { .. } | Fault::Missing { .. }) => {
            Ok(present(db, keys, Subject::MassRevoke(id))?.into_iter().collect())
        }
        told => told,
    }
}

fn of<R: Sealed>(db: &Connection, keys: &Keys, id: Id<R::Noun>) -> Found {
    row::find::<R>(db, keys, id).map(|row| row.record())
}

/// Tells every row of a table, with its seal if it is believed. Revoked tokens are not told: a gate holds only what it
/// may allow.
fn each<R: Sealed>(db: &Connection, keys: &Keys, tell: &mut Tell<'_>) -> Result<(), Fault> {
    row::walk::<R>(db, keys, &mut |id, row| match row {
        Ok((row, seal)) => {
            let record =
                row.record().filter(|record| !matches!(record, Record::Token(token) if token.revoked));
            tell(record, Some(seal));
        }
        Err(_) => {
            let subject = R::subject(id);
            tracing::error!(
                ?subject,
                "a row fails its seal: nothing it says is believed; run `keygate audit verify`"
            );
            // A gate that starts holds nothing of the token anyway, and would look for it in all of its table.
            let told = Some(Record::Broken(subject)).filter(|_| !matches!(subject, Subject::Token(_)));
            tell(told, None);
        }
    })
}

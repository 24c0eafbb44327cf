//! Sealed rows: what customers, people, services and tokens have in common in the database (DESIGN §4).

use crate::{
    db::{self, Connection, NONE, Row as SqlRow},
    event,
    fault::Fault,
    keys::{Keys, Seal},
};
use keygate_model::{
    Position, Record, Subject,
    id::{Id, Noun},
};

/// A row that carries a seal over all of its columns, and the position of the last event about it.
pub(crate) trait Sealed: Sized {
    /// Whose id it has.
    type Noun: Noun;
    /// Where it is kept.
    const TABLE: &'static str;
    /// Its columns, in the order that [`Sealed::read`] takes them; the id is the first,
    /// the seal the last.
    const COLUMNS: &'static str;

    /// Reads a row, and whether its seal is right.
    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)>;
    /// Its id.
    fn id(&self) -> Id<Self::Noun>;
    /// The last event about it.
    fn position(&self) -> Position;
    /// The seal that it should carry.
    fn seal(&self, keys: &Keys) -> Seal;
    /// How events name the row with this id.
    fn subject(id: Id<Self::Noun>) -> Subject;
    /// What is true of it once everything is heeded that was committed about it, also what its row does not say yet.
    fn settled(self, _db: &Connection) -> Result<Self, Fault> {
        Ok(self)
    }
    /// What gates need to know of it, if anything.
    fn record(&self) -> Option<Record>;
}

/// The row with this id.
pub(crate) fn find<R: Sealed>(db: &Connection, keys: &Keys, id: Id<R::Noun>) -> Result<R, Fault> {
    let mut select = db.prepare_cached(&format!("SELECT {} FROM {} WHERE id = $1", R::COLUMNS, R::TABLE))?;
    let mut rows = select.query([id.to_bytes()])?;
    let row = rows.next()?.ok_or_else(|| Fault::missing(id))?;
    let Ok(read) = R::read(row, keys) else { return Err(Fault::tampered(id)) };
    believe(db, read)
}

/// A row that was read: believed if its seal is right and it is the one that the last event about it left.
pub(crate) fn believe<R: Sealed>(db: &Connection, (row, sealed): (R, bool)) -> Result<R, Fault> {
    let last = event::last_about(db, R::subject(row.id()))?;
    if sealed && last == Some(row.position()) { row.settled(db) } else { Err(Fault::tampered(row.id())) }
}

/// What a walk finds of a row: it and the seal that it carries, if it is believed.
pub(crate) type Found<R> = Result<(R, [u8; 32]), Fault>;

/// Calls `see` with every row, and whether it can be believed. Two ordered walks side by side, rows and the last event
/// about each, because a million look-ups would take longer than a start may.
pub(crate) fn walk<R: Sealed>(
    db: &Connection,
    keys: &Keys,
    see: &mut dyn FnMut(Id<R::Noun>, Found<R>),
) -> Result<(), Fault> {
    let kind = <R::Noun as Noun>::NAME;
    let mut last_events = db.prepare_walk(
        "SELECT subject_id, max(position) FROM events WHERE subject_kind = $1 AND subject_id IS NOT NULL
         GROUP BY subject_id ORDER BY subject_id",
    )?;
    let mut last_events = last_events.query([kind])?;
    let mut last: Option<([u8; 16], i64)> = None;
    let mut select = db.prepare_walk(&format!("SELECT {} FROM {} ORDER BY id", R::COLUMNS, R::TABLE))?;
    let mut rows = select.query(NONE)?;
    // The seal is the last column.
    let mac_column = R::COLUMNS.matches(',').count();
    while let Some(row) = rows.next()? {
        let mac = row.get::<[u8; 32]>(mac_column);
        let Ok(((row, sealed), mac)) = R::read(row, keys).and_then(|read| Ok((read, mac?))) else {
            let id = Id::from_bytes(row.get(0).unwrap_or([0; 16]));
            see(id, Err(Fault::tampered(id)));
            continue;
        };
        let id = row.id().to_bytes();
        while last.is_none_or(|(about, _)| about < id) {
            let Some(next) = last_events.next()? else { break };
            last = Some((next.get(0)?, next.get(1)?));
        }
        let current =
            last.is_some_and(|(about, position)| about == id && Position(position) == row.position());
        see(row.id(), if sealed && current { Ok((row, mac)) } else { Err(Fault::tampered(row.id())) });
    }
    Ok(())
}

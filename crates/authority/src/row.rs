//! Sealed rows: what customers, people, services and tokens have in common in the database (DESIGN §4).

use crate::{
    db::{self, Connection, NONE, Row as SqlRow, Value, params},
    fault::Fault,
    keys::{Keys, Seal},
};
use keygate_model::{
    Position, Record, Subject, Timestamp,
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
    /// What was committed about a row of the table `t` that the row does not say yet, in SQL: when, or NULL.
    fn unsaid(_t: &str) -> String {
        "NULL".to_owned()
    }
    /// What is true of it once that is heeded too.
    fn settled(self, _unsaid: Option<Timestamp>) -> Self {
        self
    }
    /// What gates need to know of it, if anything.
    fn record(&self) -> Option<Record>;
}

/// The row with this id.
pub(crate) fn find<R: Sealed>(db: &Connection, keys: &Keys, id: Id<R::Noun>) -> Result<R, Fault> {
    let mut select = db.prepare_cached(&select::<R>("WHERE id = $1"))?;
    let mut rows = select.query([id.to_bytes()])?;
    believe(rows.next()?.ok_or_else(|| Fault::missing(id))?, keys)
}

/// How many rows are asked for with one question at most.
const TOGETHER: usize = 32;

/// Calls `see` with each row that there is among those with these ids.
pub(crate) fn find_some<R: Sealed>(
    db: &Connection,
    keys: &Keys,
    ids: &[Id<R::Noun>],
    see: &mut dyn FnMut(Id<R::Noun>, Result<R, Fault>),
) -> Result<(), Fault> {
    let places: Vec<_> = (1..=TOGETHER).map(|place| format!("${place}")).collect();
    let sql = select::<R>(&format!("WHERE id IN ({})", places.join(", ")));
    for ids in ids.chunks(TOGETHER) {
        let mut select = db.prepare_cached(&sql)?;
        // One statement for any number of them, which is made ready once: the first is asked for again and again.
        let asked: [_; TOGETHER] = std::array::from_fn(|place| ids.get(place).unwrap_or(&ids[0]).to_bytes());
        let mut rows = select.query(asked)?;
        while let Some(row) = rows.next()? {
            see(Id::from_bytes(row.get(0)?), believe(row, keys));
        }
    }
    Ok(())
}

/// The id of a row.
type IdOf<R> = Id<<R as Sealed>::Noun>;

/// What is found of three.
pub(crate) type Three<A, B, C> = (Result<A, Fault>, Result<B, Fault>, Result<C, Fault>);

/// Three rows with one question, each as [`find`] finds it, and a `number` that `count` selects, in which the ids are $1
/// to $3 and `values` what follows. Where it is known that rows say everything, that is not asked: to begin such a
/// statement takes a server as long as to answer it.
pub(crate) fn find_three<A: Sealed, B: Sealed, C: Sealed>(
    (db, keys): (&Connection, &Keys),
    (a, b, c): (IdOf<A>, IdOf<B>, IdOf<C>),
    (count, values): (&str, [i64; 2]),
    all_said: bool,
) -> Result<(Three<A, B, C>, i64), Fault> {
    fn there<R: Sealed>(row: SqlRow<'_>, keys: &Keys, id: Id<R::Noun>) -> Result<R, Fault> {
        if row.get_ref(0)? == Value::Null { Err(Fault::missing(id)) } else { believe(row, keys) }
    }
    let mut select = db.prepare_cached(&format!(
        "SELECT {}, {}, {}, n.number FROM (SELECT 1) o LEFT JOIN {} a ON a.id = $1 LEFT JOIN {} b ON b.id = $2
         LEFT JOIN {} c ON c.id = $3 CROSS JOIN ({count}) n",
        asked::<A>("a", all_said),
        asked::<B>("b", all_said),
        asked::<C>("c", all_said),
        A::TABLE,
        B::TABLE,
        C::TABLE
    ))?;
    let mut rows = select.query(params![a.to_bytes(), b.to_bytes(), c.to_bytes(), values[0], values[1]])?;
    let first = rows.next()?.ok_or(db::Error::Unreadable)?;
    let second = first.after(own_columns::<A>() + BESIDE);
    let third = second.after(own_columns::<B>() + BESIDE);
    let number = third.after(own_columns::<C>() + BESIDE).get(0)?;
    Ok(((there(first, keys, a), there(second, keys, b), there(third, keys, c)), number))
}

/// A statement that selects what [`believe`] takes: the rows that `which` finds in the table `t`.
pub(crate) fn select<R: Sealed>(which: &str) -> String {
    format!("SELECT {} FROM {} t {which}", asked::<R>("t", false), R::TABLE)
}

/// What is asked of a row of the table `t`: its columns, the last event about it, and what it does not say yet. One
/// question, because a server is far.
fn asked<R: Sealed>(t: &str, all_said: bool) -> String {
    let own: Vec<_> = R::COLUMNS.split(", ").map(|column| format!("{t}.{column}")).collect();
    let unsaid = if all_said { "NULL".to_owned() } else { R::unsaid(t) };
    let (own, kind) = (own.join(", "), <R::Noun as Noun>::NAME);
    format!(
        "{own}, (SELECT max(e.position) FROM events e WHERE e.subject_kind = '{kind}' AND e.subject_id = {t}.id)
         AS last_event, {unsaid} AS unsaid"
    )
}

/// How many columns a row has itself.
fn own_columns<R: Sealed>() -> usize {
    R::COLUMNS.split(", ").count()
}

/// How many [`asked`] adds to them.
const BESIDE: usize = 2;

/// A row that was read: believed if its seal is right and it is the one that the last event about it left.
pub(crate) fn believe<R: Sealed>(row: SqlRow<'_>, keys: &Keys) -> Result<R, Fault> {
    let beside = row.after(own_columns::<R>());
    let last: Option<i64> = beside.get(0)?;
    let unsaid = beside.get::<Option<i64>>(1)?.map(Timestamp::from_micros);
    match R::read(row, keys) {
        Ok((read, true)) if last.map(Position) == Some(read.position()) => Ok(read.settled(unsaid)),
        _ => Err(Fault::tampered(Id::<R::Noun>::from_bytes(row.get(0).unwrap_or([0; 16])))),
    }
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

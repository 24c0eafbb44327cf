//! Noting in the rows of tokens what a mass revoke has done: a few at a time, each with its event, so that others' changes
//! wait for none of it.

use std::thread;

use keygate_model::{Actor, Event, MassRevokeId, TokenId};

use super::{Row, holds};
use crate::{
    db::{Connection, NONE, params},
    fault::Fault,
    keys::Keys,
    origin::Origin,
    row, token,
    write::{Committed, Write},
};

/// How many tokens are noted in one change.
const AT_ONCE: i64 = 64;

/// Where the noting stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The last token that was looked at. None: none yet.
    after: Option<TokenId>,
}

/// What came of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// Some were noted, and more are to be looked at.
    Some(Cursor),
    /// All are.
    All,
    /// Everything was looked at, and some could not be noted: their rows cannot be believed.
    Left,
}

/// The oldest mass revoke that is not noted everywhere, and as whom it is gone on with.
pub(crate) fn next(db: &Connection, keys: &Keys) -> Result<Option<(MassRevokeId, Origin)>, Fault> {
    let mut select =
        db.prepare_cached("SELECT id FROM mass_revokes WHERE done = 0 ORDER BY position LIMIT 1")?;
    let mut rows = select.query(NONE)?;
    let Some(found) = rows.next()? else { return Ok(None) };
    let row = row::find::<Row>(db, keys, MassRevokeId::from_bytes(found.get(0)?))?;
    Ok(Some((row.id, Origin::new(row.revoked_at, row.ip, row.request_id))))
}

/// Notes some tokens of a mass revoke, and tells how far it has come, also where there was nothing to change.
pub(crate) fn some(
    mut write: Write<'_>,
    id: MassRevokeId,
    cursor: Cursor,
    noted: &mut Option<Noted>,
) -> Result<Committed<()>, Fault> {
    let mut revoke = row::find::<Row>(write.db(), write.keys(), id)?;
    if revoke.done {
        return Err(Fault::AlreadyDone);
    }
    let found = found(write.db(), id, cursor)?;
    let mut events: Vec<(Actor, Event)> = Vec::new();
    for token in &found {
        match token::note_revoked(&mut write, *token, events.len() as i64, id) {
            Ok((customer, event)) => events.push((revoke.actor(customer), event)),
            Err(Fault::Tampered { noun, id }) => {
                tracing::error!(noun, id, "a mass revoke cannot be noted in a row that fails its seal");
            }
            Err(fault) => return Err(fault),
        }
        // Nobody waits for this: whoever decides has the processor first.
        thread::yield_now();
    }
    revoke.noted += events.len() as u64;
    let is_last = (found.len() as i64) < AT_ONCE;
    *noted = Some(match (is_last, revoke.noted == revoke.tokens) {
        (false, _) => Noted::Some(Cursor { after: found.last().copied() }),
        (true, true) => Noted::All,
        (true, false) => Noted::Left,
    });
    if *noted == Some(Noted::All) {
        revoke.done = true;
        revoke.position = write.position_of(events.len() as i64);
        write.ends_mass_revoke();
        let event = Event::MassRevokeNoted { id, tokens: revoke.tokens };
        events.push((revoke.asked(), event));
    }
    if events.is_empty() {
        return Err(Fault::AlreadyDone);
    }
    revoke.save(&mut write)?;
    write.commit_by(&events, ())
}

fn found(db: &Connection, id: MassRevokeId, cursor: Cursor) -> Result<Vec<TokenId>, Fault> {
    let mut select = db.prepare_cached(&format!(
        "SELECT t.id FROM mass_revokes m JOIN tokens t ON {} WHERE m.id = $1 AND t.id > $2 ORDER BY t.id LIMIT $3",
        holds("t", "m")
    ))?;
    let after = cursor.after.map(|id| id.to_bytes().to_vec()).unwrap_or_default();
    let mut rows = select.query(params![id.to_bytes(), after, AT_ONCE])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(TokenId::from_bytes(row.get(0)?));
    }
    Ok(found)
}

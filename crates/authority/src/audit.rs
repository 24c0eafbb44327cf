//! The audit of the audit: walks the chain of events and the seals of all rows, and names the first that is off.

use crate::{
    authority::Authority, chain::Head, customer, db::Connection, event, fault::Fault, invitation, keys::Keys,
    mass_revoke, policy, row, service, token, user,
};
use keygate_model::Position;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How many events were walked.
    pub events: u64,
    /// How many rows were checked.
    pub rows: u64,
    /// What is off, the first first; the walk goes on, so that all of it is known. At most 100.
    pub bad: Vec<Finding>,
}

/// One thing that is off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// `event`, `head`, `customer`, `user`, `service`, `token`, `invitation`, `policy` or `mass_revoke`.
    pub noun: &'static str,
    /// Which: a position, or an id.
    pub id: String,
    /// What is wrong with it.
    pub why: String,
}

const FINDINGS_MAX: usize = 100;

impl Findings {
    fn add(&mut self, noun: &'static str, id: impl ToString, why: impl Into<String>) {
        if self.bad.len() < FINDINGS_MAX {
            self.bad.push(Finding { noun, id: id.to_string(), why: why.into() });
        }
    }

    fn row(&mut self, noun: &'static str, id: impl ToString, whole: bool) {
        self.rows += 1;
        if !whole {
            self.add(
                noun,
                id,
                "its seal does not fit: planted, copied, edited, or set back to an earlier state",
            );
        }
    }
}

impl Authority {
    /// Walks everything. Reads one consistent state, also of a database that is being written.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn audit(&self) -> Result<Findings, Fault> {
        self.read(|db, keys| {
            let _snapshot = db.snapshot()?;
            let mut findings = Findings::default();
            walk_events(db, keys, &mut findings)?;
            row::walk::<customer::Row>(db, keys, &mut |id, row| findings.row("customer", id, row.is_ok()))?;
            row::walk::<user::Row>(db, keys, &mut |id, row| findings.row("user", id, row.is_ok()))?;
            row::walk::<service::Row>(db, keys, &mut |id, row| findings.row("service", id, row.is_ok()))?;
            row::walk::<token::Row>(db, keys, &mut |id, row| findings.row("token", id, row.is_ok()))?;
            row::walk::<policy::Row>(db, keys, &mut |id, row| findings.row("policy", id, row.is_ok()))?;
            row::walk::<mass_revoke::Row>(db, keys, &mut |id, row| {
                findings.row("mass_revoke", id, row.is_ok())
            })?;
            row::walk::<invitation::Row>(db, keys, &mut |id, row| {
                findings.row("invitation", id, row.is_ok())
            })?;
            removed_rows(db, &mut findings)?;
            Ok(findings)
        })
        .await
    }
}

/// The chain must run without a gap from the first event to the sealed head.
fn walk_events(db: &Connection, keys: &Keys, findings: &mut Findings) -> Result<(), Fault> {
    let (mut position, mut hash) = (Position(0), [0; 32]);
    event::walk(db, |row, kept| {
        findings.events += 1;
        let expected = position.next();
        if row.position != expected {
            findings.add(
                "event",
                row.position.0,
                format!("events from {} on are missing before it", expected.0),
            );
        }
        let hashed = row.hash(&hash);
        if Some(hashed) != kept {
            findings.add(
                "event",
                row.position.0,
                "its hash does not fit what it says and the event before it",
            );
        }
        (position, hash) = (row.position, kept.unwrap_or(hashed));
        Ok(())
    })?;
    match Head::read(db, keys) {
        Ok(head) if head.position != position => {
            let why = format!("it says {} events, the log ends at {}", head.position.0, position.0);
            findings.add("head", head.position.0, why);
        }
        Ok(head) if head.hash != hash => findings.add("head", position.0, "it is the head of another chain"),
        Ok(_) => {}
        Err(Fault::Tampered { .. }) => findings.add("head", position.0, "its seal does not fit"),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Nothing is ever deleted, so what an event tells of must still be there.
fn removed_rows(db: &Connection, findings: &mut Findings) -> Result<(), Fault> {
    let tables = [
        ("customer", "customers"),
        ("user", "users"),
        ("service", "services"),
        ("token", "tokens"),
        ("invitation", "invitations"),
        ("policy", "policies"),
        ("mass_revoke", "mass_revokes"),
    ];
    for (noun, table) in tables {
        let mut select = db.prepare_walk(&format!(
            "SELECT DISTINCT subject_id FROM events WHERE subject_kind = $1 AND subject_id IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM {table} WHERE id = subject_id)"
        ))?;
        let mut rows = select.query([noun])?;
        while let Some(row) = rows.next()? {
            let id = keygate_model::TokenId::from_bytes(row.get(0)?);
            findings.add(noun, id, "events tell of it and its row is gone");
        }
    }
    Ok(())
}

//! The event log: rows, the reads behind `GET /events`, and nothing that changes one.

use std::collections::HashSet;

use crate::{
    chain::{Hasher, Head},
    db::{self, Connection, NONE, Row as SqlRow, params},
    fault::Fault,
    keys::Keys,
    origin::Origin,
};
use serde_json::Value;

use keygate_model::{
    Actor, CustomerId, Event, EventId, InvitationId, MassRevokeId, PolicyId, Position, ServiceId, Subject,
    Timestamp, TokenId, UserId,
};

/// An event as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place in the log.
    pub position: Position,
    /// Its id on the wire.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// The contract's name of what happened.
    pub kind: String,
    /// Who did it: `operator`, `person`, `token ID` or `stranger`.
    pub actor: String,
    /// The name of the token that did it, or of nobody.
    pub actor_name: String,
    /// In whose house. None for strangers.
    pub customer: Option<CustomerId>,
    /// The user it is about, or who did it.
    pub user: Option<UserId>,
    /// The service it is about.
    pub service: Option<ServiceId>,
    /// The token it is about, or that did it.
    pub token: Option<TokenId>,
    /// The row it changed.
    pub subject: Subject,
    /// From where.
    pub ip: String,
    /// By which request.
    pub request_id: String,
    /// A sentence.
    pub description: String,
    /// The details, as JSON text.
    pub metadata: String,
}

const COLUMNS: &str = "position, id, at, kind, actor, actor_name, customer_id, user_id, service_id, token_id, subject_kind, \
                       subject_id, ip, request_id, description, metadata";

impl Row {
    pub(crate) fn of(
        keys: &Keys,
        position: Position,
        (actor, actor_name): (Actor, String),
        origin: &Origin,
        event: &Event,
    ) -> Self {
        let (actor_text, acting_customer, acting_user, acting_token) = told(actor);
        let own_customer = match event.subject() {
            Subject::Customer(customer) => Some(customer),
            _ => None,
        };
        Self {
            position,
            id: EventId::from_bytes(keys.tag("event id", &position.0.to_be_bytes())),
            at: origin.now,
            kind: event.kind().to_owned(),
            actor: actor_text,
            actor_name,
            customer: own_customer.or(acting_customer),
            user: event.user().or(acting_user),
            service: event.service(),
            token: event.token().or(acting_token),
            subject: event.subject(),
            ip: origin.ip.clone(),
            request_id: origin.request_id.clone(),
            description: event.description(),
            metadata: event.metadata().to_string(),
        }
    }

    /// The hash that this event carries after `previous`.
    pub(crate) fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let (subject_kind, subject_id) = stored(self.subject);
        Hasher::after(previous)
            .blob(&self.position.0.to_be_bytes())
            .blob(&self.id.to_bytes())
            .blob(&self.at.micros().to_be_bytes())
            .blob(self.kind.as_bytes())
            .blob(self.actor.as_bytes())
            .blob(self.actor_name.as_bytes())
            .blob(bytes(self.customer.map(|id| id.to_bytes()).as_ref()))
            .blob(bytes(self.user.map(|id| id.to_bytes()).as_ref()))
            .blob(bytes(self.service.map(|id| id.to_bytes()).as_ref()))
            .blob(bytes(self.token.map(|id| id.to_bytes()).as_ref()))
            .blob(subject_kind.as_bytes())
            .blob(bytes(subject_id.as_ref()))
            .blob(self.ip.as_bytes())
            .blob(self.request_id.as_bytes())
            .blob(self.description.as_bytes())
            .blob(self.metadata.as_bytes())
            .finish()
    }

    pub(crate) fn insert(&self, db: &Connection, hash: &[u8; 32]) -> Result<(), Fault> {
        let (subject_kind, subject_id) = stored(self.subject);
        let mut insert = db.prepare_cached(&format!(
            "INSERT INTO events ({COLUMNS}, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
        ))?;
        Ok(insert.put(params![
            self.position.0,
            self.id.to_bytes(),
            self.at.micros(),
            self.kind,
            self.actor,
            self.actor_name,
            self.customer.map(|id| id.to_bytes()),
            self.user.map(|id| id.to_bytes()),
            self.service.map(|id| id.to_bytes()),
            self.token.map(|id| id.to_bytes()),
            subject_kind,
            subject_id,
            self.ip,
            self.request_id,
            self.description,
            self.metadata,
            hash,
        ])?)
    }

    /// Whether it notes in a row what gates have been told of by the event of a mass revoke, which stands before it.
    fn is_told_before(&self) -> bool {
        let by_mass = |metadata: Value| metadata.get("mass_revoke_id").is_some();
        self.kind == "token.destroy"
            && self.metadata.contains("mass_revoke_id")
            && serde_json::from_str(&self.metadata).is_ok_and(by_mass)
    }

    fn read(row: SqlRow<'_>) -> db::Result<Self> {
        Ok(Self {
            position: Position(row.get(0)?),
            id: EventId::from_bytes(row.get(1)?),
            at: Timestamp::from_micros(row.get(2)?),
            kind: row.get(3)?,
            actor: row.get(4)?,
            actor_name: row.get(5)?,
            customer: row.get::<Option<[u8; 16]>>(6)?.map(CustomerId::from_bytes),
            user: row.get::<Option<[u8; 16]>>(7)?.map(UserId::from_bytes),
            service: row.get::<Option<[u8; 16]>>(8)?.map(ServiceId::from_bytes),
            token: row.get::<Option<[u8; 16]>>(9)?.map(TokenId::from_bytes),
            subject: subject(&row.get::<String>(10)?, row.get(11)?),
            ip: row.get(12)?,
            request_id: row.get(13)?,
            description: row.get(14)?,
            metadata: row.get(15)?,
        })
    }
}

/// Which events to show. Every field narrows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this kind.
    pub kind: Option<String>,
    /// About or by this user.
    pub user: Option<UserId>,
    /// About this service.
    pub service: Option<ServiceId>,
    /// About or by this token.
    pub token: Option<TokenId>,
    /// At this time or later, in microseconds.
    pub from: Option<Timestamp>,
    /// Before this time, in microseconds.
    pub before: Option<Timestamp>,
    /// Oldest first; else newest first, as recorded.
    pub oldest_first: bool,
}

/// A page of events.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events.
    pub rows: Vec<Row>,
    /// How many the filter finds in all.
    pub total: u64,
}

/// The events of a customer that `filter` finds: page `number`, counted from 1, of `size`.
pub(crate) fn page(
    db: &Connection,
    customer: CustomerId,
    filter: &Filter,
    number: u64,
    size: u64,
) -> Result<Page, Fault> {
    // Each is compared before it is asked whether it is there: PostgreSQL tells its type by the first use.
    const FOUND: &str = "FROM events WHERE customer_id = $1 AND (kind = $2 OR $2 IS NULL)
         AND (user_id = $3 OR $3 IS NULL) AND (service_id = $4 OR $4 IS NULL)
         AND (token_id = $5 OR actor = $6 OR $5 IS NULL) AND (at >= $7 OR $7 IS NULL) AND (at < $8 OR $8 IS NULL)";
    let offset = number.saturating_sub(1).saturating_mul(size).min(i64::MAX as u64) as i64;
    let size = size.min(i64::MAX as u64) as i64;
    let found = params![
        customer.to_bytes(),
        filter.kind,
        filter.user.map(|id| id.to_bytes()),
        filter.service.map(|id| id.to_bytes()),
        filter.token.map(|id| id.to_bytes()),
        filter.token.map(|id| format!("token {id}")),
        filter.from.map(Timestamp::micros),
        filter.before.map(Timestamp::micros),
        size,
        offset,
    ];
    let mut count = db.prepare_cached(&format!("SELECT count(*) {FOUND}"))?;
    let total: i64 = count.query_row(&found[..8], |row| row.get(0))?;
    let order = if filter.oldest_first { "ASC" } else { "DESC" };
    let sql = format!("SELECT {COLUMNS} {FOUND} ORDER BY position {order} LIMIT $9 OFFSET $10");
    let mut select = db.prepare_cached(&sql)?;
    let (mut found, mut rows) = (select.query(found)?, Vec::new());
    while let Some(row) = found.next()? {
        rows.push(Row::read(row)?);
    }
    Ok(Page { rows, total: total.unsigned_abs() })
}

/// One event of a customer.
pub(crate) fn one(db: &Connection, customer: CustomerId, id: EventId) -> Result<Row, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM events WHERE id = $1 AND customer_id = $2");
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query([id.to_bytes(), customer.to_bytes()])?;
    Ok(Row::read(rows.next()?.ok_or_else(|| Fault::missing(id))?)?)
}

/// Calls `each` with every event from the first on, and the hash that it carries; none if it carries none that could be
/// right.
pub(crate) fn walk(
    db: &Connection,
    mut each: impl FnMut(Row, Option<[u8; 32]>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut select = db.prepare_walk(&format!("SELECT {COLUMNS}, hash FROM events ORDER BY position"))?;
    let mut rows = select.query(NONE)?;
    while let Some(row) = rows.next()? {
        let read = Row::read(row)?;
        // A subject that means nothing reads as none, whose hash would not tell.
        let plain = stored(read.subject) == (row.get_ref(10)?.as_str().unwrap_or_default(), row.get(11)?);
        each(read, row.get(16).ok().filter(|_| plain))?;
    }
    Ok(())
}

/// What the events after `from` up to the sealed head `to` touched, each thing once. They must be the whole chain between
/// the two: a gate must not miss a revoke because somebody has edited, removed or planted an event.
pub(crate) fn touched_between(db: &Connection, from: &Head, to: &Head) -> Result<Vec<Subject>, Fault> {
    let (mut touched, mut seen) = (Vec::new(), HashSet::new());
    let end = follow(db, *from, to, |row| {
        if row.subject != Subject::None && !row.is_told_before() && seen.insert(row.subject) {
            touched.push(row.subject);
        }
    })?;
    if end { Ok(touched) } else { Err(Head::tampered()) }
}

/// Whether the chain runs unbroken from the first event to the sealed head.
pub(crate) fn is_whole(db: &Connection, to: &Head) -> Result<bool, Fault> {
    follow(db, Head::START, to, |_| ())
}

/// Follows the chain from one head to another. False if it does not lead there.
fn follow(db: &Connection, from: Head, to: &Head, mut see: impl FnMut(&Row)) -> Result<bool, Fault> {
    let sql =
        format!("SELECT {COLUMNS} FROM events WHERE position > $1 AND position <= $2 ORDER BY position");
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query([from.position.0, to.position.0])?;
    let (mut position, mut hash) = (from.position, from.hash);
    while let Some(row) = rows.next()? {
        let row = Row::read(row)?;
        if row.position != position.next() {
            return Ok(false);
        }
        (position, hash) = (row.position, row.hash(&hash));
        see(&row);
    }
    Ok((position, hash) == (to.position, to.hash))
}

fn told(actor: Actor) -> (String, Option<CustomerId>, Option<UserId>, Option<TokenId>) {
    match actor {
        Actor::Operator { customer } => ("operator".to_owned(), customer, None, None),
        Actor::Person { user, customer } => ("person".to_owned(), Some(customer), Some(user), None),
        Actor::Token { token, customer, user } => {
            (format!("token {token}"), Some(customer), user, Some(token))
        }
        Actor::Stranger => ("stranger".to_owned(), None, None, None),
    }
}

fn stored(subject: Subject) -> (&'static str, Option<[u8; 16]>) {
    match subject {
        Subject::None => ("none", None),
        Subject::Customer(id) => ("customer", Some(id.to_bytes())),
        Subject::User(id) => ("user", Some(id.to_bytes())),
        Subject::Service(id) => ("service", Some(id.to_bytes())),
        Subject::Token(id) => ("token", Some(id.to_bytes())),
        Subject::Invitation(id) => ("invitation", Some(id.to_bytes())),
        Subject::Policy(id) => ("policy", Some(id.to_bytes())),
        Subject::MassRevoke(id) => ("mass_revoke", Some(id.to_bytes())),
    }
}

fn subject(kind: &str, id: Option<[u8; 16]>) -> Subject {
    match (kind, id) {
        ("customer", Some(id)) => Subject::Customer(CustomerId::from_bytes(id)),
        ("user", Some(id)) => Subject::User(UserId::from_bytes(id)),
        ("service", Some(id)) => Subject::Service(ServiceId::from_bytes(id)),
        ("token", Some(id)) => Subject::Token(TokenId::from_bytes(id)),
        ("invitation", Some(id)) => Subject::Invitation(InvitationId::from_bytes(id)),
        ("policy", Some(id)) => Subject::Policy(PolicyId::from_bytes(id)),
        ("mass_revoke", Some(id)) => Subject::MassRevoke(MassRevokeId::from_bytes(id)),
        _ => Subject::None,
    }
}

fn bytes(id: Option<&[u8; 16]>) -> &[u8] {
    id.map_or(&[], |id| &id[..])
}

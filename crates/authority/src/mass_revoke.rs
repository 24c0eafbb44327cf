//! Mass revokes: any number of tokens in one change.
//!
//! The change is one row and one event, however many tokens it is about: from its commit on they are revoked, because
//! whoever reads a token's row reads what mass revokes say of it too ([`over`]). The rows are brought to say so
//! themselves afterwards, a few at a time and each with an event of its own, by whichever writer has nothing better to do
//! ([`note`]).

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use keygate_model::{
    Action, Actor, CustomerId, Digest, Event, MassRevokeId, Permit, Position, Record, TokenId,
    mass_revoke::{Targets, Whose},
    record::RevokedRecord,
};

use crate::{
    authority::Authority,
    db::{Connection, NONE},
    fault::Fault,
    keys::Keys,
    origin::Origin,
    write::{self, Write},
};

mod kept;
pub(crate) mod note;

pub(crate) use kept::Row;

/// What a mass revoke has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MassRevoked {
    /// Which.
    pub id: MassRevokeId,
    /// How many tokens it has revoked.
    pub tokens: u64,
}

/// How many tokens one record tells of.
const TOLD_TOGETHER: usize = 512;

/// What the change may take longer than others, as if it were about so many things.
const PATIENCE: usize = 5000;

/// How long whoever asks for one waits for the outcome at most.
pub const LONGEST: Duration = write::patience(PATIENCE);

/// Whether a token fits what a mass revoke says, in SQL. Read without its seal: a row that was edited does not authorise,
/// fit or not.
fn fits(t: &str, m: &str) -> String {
    format!(
        "({m}.customer_id IS NULL OR {t}.customer_id = {m}.customer_id)
         AND ({m}.owner_id IS NULL OR {t}.user_id = {m}.owner_id)
         AND ({m}.service_id = '' OR replace(' ' || {t}.services || ' ', ' ' || {m}.service_id || ' ', '') <> ' ' || {t}.services || ' ')
         AND ({m}.issuer_id IS NULL OR {t}.creator_id = {m}.issuer_id)
         AND ({m}.parent_id IS NULL OR {t}.parent_id = {m}.parent_id)
         AND {t}.created_at >= {m}.created_from AND {t}.created_at < {m}.created_before
         AND ({m}.sort = '' OR ({m}.sort = 'imported' AND {t}.foreign_secret = 1)
           OR ({m}.sort = 'user' AND {t}.foreign_secret = 0 AND {t}.user_id IS NOT NULL)
           OR ({m}.sort = 'automation' AND {t}.foreign_secret = 0 AND {t}.user_id IS NULL))
         AND substr({t}.name, 1, length({m}.name_prefix)) = {m}.name_prefix
         AND ({m}.spared_id IS NULL OR {t}.id <> {m}.spared_id)"
    )
}

/// Whether a mass revoke has revoked a token whose row does not say so yet, in SQL.
fn holds(t: &str, m: &str) -> String {
    let never = i64::MAX;
    format!("{m}.done = 0 AND {t}.revoked_at = {never} AND {t}.position < {m}.position AND {}", fits(t, m))
}

/// What stands behind the name of the table of tokens where all of it is read: SQLite would walk an index and look most rows
/// up one by one. (`NOT INDEXED` means nothing to it for a table WITHOUT ROWID.)
fn as_a_whole(db: &Connection) -> &'static str {
    match db {
        Connection::Sqlite(_) => "INDEXED BY sqlite_autoindex_tokens_1",
        Connection::Postgres(_) => "",
    }
}

/// That no mass revoke has revoked a token whose row says that it is alive, in SQL: for whoever counts the living. Whether
/// there is any to be noted is asked once, and not for each of ten thousand tokens.
pub(crate) fn spares(t: &str) -> String {
    format!(
        "(NOT EXISTS (SELECT 1 FROM mass_revokes WHERE done = 0)
          OR NOT EXISTS (SELECT 1 FROM mass_revokes m WHERE {}))",
        holds(t, "m")
    )
}

/// When a mass revoke has revoked a token whose row does not say so yet, in SQL: NULL if none has.
pub(crate) fn over(t: &str) -> String {
    format!("(SELECT m.revoked_at FROM mass_revokes m WHERE {} ORDER BY m.position LIMIT 1)", holds(t, "m"))
}

/// All tokens that mass revokes have revoked and whose rows do not say so yet, for whoever walks all rows. None: mass
/// revokes are missing, or there are more than the `unnoted` ones that the head knows.
pub(crate) fn over_all(
    db: &Connection,
    keys: &Keys,
    unnoted: i64,
) -> Result<Option<HashSet<TokenId>>, Fault> {
    let mut believed = 0;
    crate::row::walk::<Row>(db, keys, &mut |_, row| {
        believed += i64::from(row.is_ok_and(|(row, _)| !row.done));
    })?;
    if believed != unnoted {
        return Ok(None);
    }
    let mut tokens = HashSet::new();
    if unnoted > 0 {
        let sql = format!(
            "SELECT t.id FROM mass_revokes m JOIN tokens t {} ON {}",
            as_a_whole(db),
            holds("t", "m")
        );
        let mut select = db.prepare_walk(&sql)?;
        let mut rows = select.query(NONE)?;
        while let Some(row) = rows.next()? {
            tokens.insert(TokenId::from_bytes(row.get(0)?));
        }
    }
    Ok(Some(tokens))
}

/// What gates are told of a mass revoke: all of its tokens, also those whose rows say so by now.
pub(crate) fn told(db: &Connection, keys: &Keys, id: MassRevokeId) -> Result<Vec<Record>, Fault> {
    crate::row::find::<Row>(db, keys, id)?;
    let sql = format!(
        "SELECT t.customer_id, t.id, t.digest FROM mass_revokes m JOIN tokens t {}
         ON (t.revoked_at = m.revoked_at OR (t.revoked_at = {} AND t.position < m.position)) AND {} WHERE m.id = $1",
        as_a_whole(db),
        i64::MAX,
        fits("t", "m")
    );
    let mut select = db.prepare_walk(&sql)?;
    let mut rows = select.query([id.to_bytes()])?;
    let mut records = Vec::new();
    let mut open: BTreeMap<CustomerId, Vec<(TokenId, Digest)>> = BTreeMap::new();
    let record = |customer, tokens| Record::Revoked(RevokedRecord { by: id, customer, tokens });
    while let Some(row) = rows.next()? {
        let customer = CustomerId::from_bytes(row.get(0)?);
        let tokens = open.entry(customer).or_default();
        tokens.push((TokenId::from_bytes(row.get(1)?), Digest::from_bytes(row.get(2)?)));
        if tokens.len() == TOLD_TOGETHER {
            records.push(record(customer, std::mem::take(tokens)));
        }
    }
    let rest = open.into_iter().filter(|(_, tokens)| !tokens.is_empty());
    records.extend(rest.map(|(customer, tokens)| record(customer, tokens)));
    Ok(records)
}

impl Authority {
    /// Revokes every token that is meant, in one change: none is let in any more once this returns. Tokens that are made
    /// later are not meant. Of every customer only for the operator.
    ///
    /// # Errors
    /// `nothing_to_revoke` if no living token is meant; storage faults.
    pub async fn mass_revoke(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: [u8; 16],
        targets: Targets,
    ) -> Result<MassRevoked, Fault> {
        let (actor, row) = Row::new(permit, origin, id, targets)?;
        self.change_many(PATIENCE, actor, origin, move |mut write| {
            let row = row.save_counted(&mut write)?;
            if row.tokens == 0 {
                let why = "No living token fits: nothing was revoked";
                return Err(Fault::invalid("nothing_to_revoke", why));
            }
            write.begins_mass_revoke();
            let targets = row.targets.metadata(crate::text::time);
            let event = Event::MassRevoke { id: row.id, targets, tokens: row.tokens };
            write.commit(&event, MassRevoked { id: row.id, tokens: row.tokens })
        })
        .await
    }

    /// How many tokens [`Authority::mass_revoke`] would revoke now.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn count_mass_revoke(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: [u8; 16],
        targets: Targets,
    ) -> Result<u64, Fault> {
        let (actor, row) = Row::new(permit, origin, id, targets)?;
        let counted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&counted);
        // The same change, of which nothing is left: so it counts by the same words.
        let change = self.change_many(PATIENCE, actor, origin, move |mut write| {
            count.store(row.save_counted(&mut write)?.tokens, Ordering::Release);
            Err::<crate::write::Committed<()>, _>(Fault::AlreadyDone)
        });
        match change.await {
            Ok(()) | Err(Fault::AlreadyDone) => Ok(counted.load(Ordering::Acquire)),
            Err(fault) => Err(fault),
        }
    }
}

impl Row {
    /// Whose permit reaches the tokens, and what is to be kept.
    fn new(permit: &Permit, origin: &Origin, id: [u8; 16], targets: Targets) -> Result<(Actor, Self), Fault> {
        permit.proves(Action::TOKEN_REVOKE_ANY)?;
        let actor = match targets.whose() {
            Whose::Everybody => {
                permit.is_the_operators()?;
                Actor::Operator { customer: None }
            }
            Whose::Customer(customer) if customer == permit.customer() => permit.actor(),
            Whose::Customer(customer) => return Err(Fault::missing(customer)),
        };
        let asked_by = match actor {
            Actor::Token { token, user, .. } => Some((token, user)),
            _ => None,
        };
        let row = Self {
            id: MassRevokeId::from_bytes(id),
            targets,
            asked_by,
            ip: origin.ip.clone(),
            request_id: origin.request_id.clone(),
            revoked_at: origin.now,
            tokens: 0,
            noted: 0,
            done: false,
            position: Position(0),
        };
        Ok((actor, row))
    }

    /// Saves it with the number of tokens that it is about.
    fn save_counted(mut self, write: &mut Write<'_>) -> Result<Self, Fault> {
        self.position = write.position_of(0);
        self.save(write)?;
        let sql = format!(
            "SELECT count(*) FROM mass_revokes m JOIN tokens t {} ON {} WHERE m.id = $1
             AND NOT EXISTS (SELECT 1 FROM mass_revokes e WHERE e.position < m.position AND {})",
            as_a_whole(write.db()),
            holds("t", "m"),
            holds("t", "e")
        );
        let tokens: i64 =
            write.db().prepare_cached(&sql)?.query_row([self.id.to_bytes()], |row| row.get(0))?;
        self.tokens = tokens.unsigned_abs();
        self.save(write)?;
        Ok(self)
    }

    /// Who did it, in this customer's house.
    fn actor(&self, customer: CustomerId) -> Actor {
        match self.asked_by {
            Some((token, user)) => Actor::Token { token, customer, user },
            None => Actor::Operator { customer: Some(customer) },
        }
    }

    /// Who did it.
    fn asked(&self) -> Actor {
        match self.targets.whose() {
            Whose::Customer(customer) => self.actor(customer),
            Whose::Everybody => Actor::Operator { customer: None },
        }
    }
}

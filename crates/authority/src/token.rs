//! Tokens: made, listed, revoked.

use std::collections::HashSet;

use keygate_model::{
    Action, Actor, CustomerId, Digest, Event, Expiry, Permit, Position, Record, Secret, ServiceId, Services,
    Subject, Timestamp, TokenId, UserId,
    event::NewToken,
    id,
    record::{Owner, TokenRecord},
    token::{Brand, Kind},
};
use rusqlite::{Connection, Row as SqlRow, params};

use crate::{
    authority::Authority,
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    usage,
    write::Write,
};

mod create;
mod read;
mod sudo;

pub use create::{Idempotency, Order};

/// A token as it is kept. The secret is not.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: TokenId,
    pub(crate) digest: Digest,
    /// Whose house.
    pub customer: CustomerId,
    /// Bound to whom.
    pub user: UserId,
    /// What for.
    pub name: String,
    /// Its scopes, separated by a space.
    pub scope: String,
    /// What it is limited to.
    pub services: Services,
    /// Until when.
    pub expires: Expiry,
    /// Whether it was made with a one-time code.
    pub second_factor: bool,
    /// Until when sudo lasts on it.
    pub sudo_until: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    pub(crate) position: Position,
}

/// A token with its last use.
#[derive(Clone, Debug)]
pub struct Used {
    /// The token.
    pub row: Row,
    /// Its last use, if it was ever used.
    pub mark: Option<usage::Mark>,
}

/// A freshly drawn id and secret.
pub struct Minted {
    /// The id.
    pub id: TokenId,
    /// The secret, on its way to its owner.
    pub secret: Secret,
}

impl Minted {
    /// What these random bits make: 16 bytes of id, 32 of secret.
    #[must_use]
    pub fn new(brand: &Brand, kind: Kind, id: [u8; 16], entropy: &[u8; 32]) -> Self {
        Self { id: TokenId::from_bytes(id), secret: Secret::mint(brand, kind, entropy) }
    }
}

/// A token that was just made, and its secret: the one time that it is seen.
pub struct Issued {
    /// The token.
    pub row: Row,
    /// Its secret.
    pub secret: Secret,
}

const COLUMNS: &str = "id, digest, customer_id, user_id, name, scope, services, expires_at, second_factor, \
                       sudo_until, created_at, updated_at, revoked_at, position, mac";

/// In integer columns: no such time. A word of its own, so that a lost value is not one.
const NEVER: i64 = i64::MAX;

impl Authority {
    /// Revokes the token that asks.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn revoke_self(&self, permit: &Permit, origin: &Origin) -> Result<(), Fault> {
        permit.proves(Action::TOKEN_REVOKE_SELF)?;
        let Actor::Token { token, .. } = permit.actor() else {
            return Err(Fault::Permit(keygate_model::permit::WrongPermit));
        };
        self.revoke_each(*permit, origin, vec![token]).await
    }

    /// Revokes tokens: one's own, or with [`Action::TOKEN_REVOKE_ANY`] anybody's of the customer. All or none: a list
    /// with one that is not there changes nothing. One that is revoked already stays so.
    ///
    /// # Errors
    /// [`Fault::Missing`] names the first that is not there for this caller; storage faults.
    pub async fn revoke(&self, permit: &Permit, origin: &Origin, ids: Vec<TokenId>) -> Result<(), Fault> {
        permit.proves_one_of(&[Action::TOKEN_REVOKE, Action::TOKEN_REVOKE_ANY])?;
        self.revoke_each(*permit, origin, ids).await
    }

    async fn revoke_each(&self, permit: Permit, origin: &Origin, mut ids: Vec<TokenId>) -> Result<(), Fault> {
        // A row that this change has saved is ahead of its event until the end, so each is looked at once.
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(*id));
        let revoked = self.change(permit.actor(), origin, move |mut write| {
            let mut events = Vec::new();
            for id in ids {
                let mut row = find_for(&permit, write.db(), write.keys(), id)?;
                if row.revoked_at.is_none() {
                    row.revoked_at = Some(write.origin().now);
                    row.touch(&write, events.len() as i64);
                    row.save(&mut write)?;
                    events.push(Event::TokenDestroy { token: row.id, user: row.user, name: row.name });
                }
            }
            if events.is_empty() {
                return Err(Fault::AlreadyDone);
            }
            write.commit_each(&events, ())
        });
        match revoked.await {
            Err(Fault::AlreadyDone) => Ok(()),
            other => other,
        }
    }
}

impl Row {
    /// What the audit log tells of it when it is made.
    fn told(&self, parent: Option<TokenId>) -> Event {
        let expires_at =
            self.expires.date().and_then(|at| jiff::Timestamp::from_microsecond(at.micros()).ok());
        Event::TokenCreate(NewToken {
            token: self.id,
            user: self.user,
            name: self.name.clone(),
            scope: self.scope.clone(),
            services: self.services.clone(),
            expires_at: expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            parent,
        })
    }

    fn touch(&mut self, write: &Write<'_>, nth: i64) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(nth);
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("tokens", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO tokens ({COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             ON CONFLICT (id) DO UPDATE SET sudo_until = $10, updated_at = $12, revoked_at = $13, position = $14,
             mac = $15"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.digest.bytes(),
            self.customer.to_bytes(),
            self.user.to_bytes(),
            self.name,
            self.scope,
            stored_services(&self.services),
            stored_time(self.expires.date()),
            self.second_factor,
            stored_time(self.sudo_until),
            self.created_at.micros(),
            self.updated_at.micros(),
            stored_time(self.revoked_at),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::Token;
    const TABLE: &'static str = "tokens";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: &SqlRow<'_>, keys: &Keys) -> rusqlite::Result<(Self, bool)> {
        let services = read_services(row.get_ref(6)?.as_str()?);
        let expires: i64 = row.get(7)?;
        let read = Self {
            id: TokenId::from_bytes(row.get(0)?),
            digest: Digest::from_bytes(row.get(1)?),
            customer: CustomerId::from_bytes(row.get(2)?),
            user: UserId::from_bytes(row.get(3)?),
            name: row.get(4)?,
            scope: row.get(5)?,
            services: services.clone().unwrap_or(Services::All),
            expires: read_time(expires).map_or(Expiry::Never, Expiry::At),
            second_factor: row.get(8)?,
            sudo_until: read_time(row.get(9)?),
            created_at: Timestamp::from_micros(row.get(10)?),
            updated_at: Timestamp::from_micros(row.get(11)?),
            revoked_at: read_time(row.get(12)?),
            position: Position(row.get(13)?),
        };
        let sealed = services.is_some() && read.seal(keys).is(row.get_ref(14)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> TokenId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("tokens")
            .blob(&self.id.to_bytes())
            .blob(self.digest.bytes())
            .blob(&self.customer.to_bytes())
            .blob(&self.user.to_bytes())
            .text(&self.name)
            .text(&self.scope)
            .text(&stored_services(&self.services))
            .int(stored_time(self.expires.date()))
            .int(i64::from(self.second_factor))
            .int(stored_time(self.sudo_until))
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(stored_time(self.revoked_at))
            .int(self.position.0)
    }

    fn subject(id: TokenId) -> Subject {
        Subject::Token(id)
    }

    fn record(&self) -> Record {
        Record::Token(TokenRecord {
            id: self.id,
            digest: self.digest,
            customer: self.customer,
            owner: Owner::User(self.user),
            scope: self.scope.clone(),
            services: self.services.clone(),
            expires: self.expires,
            sudo_until: self.sudo_until,
            revoked: self.revoked_at.is_some(),
        })
    }
}

fn stored_time(time: Option<Timestamp>) -> i64 {
    time.map_or(NEVER, Timestamp::micros)
}

fn read_time(micros: i64) -> Option<Timestamp> {
    (micros != NEVER).then_some(Timestamp::from_micros(micros))
}

/// `*` for all, else the ids, separated by a space.
fn stored_services(services: &Services) -> String {
    match services {
        Services::All => "*".to_owned(),
        Services::Only(_) => services.listed().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

fn read_services(text: &str) -> Option<Services> {
    if text == "*" {
        return Some(Services::All);
    }
    let ids: Option<Vec<ServiceId>> = text.split(' ').map(|id| id.parse().ok()).collect();
    Services::only(ids?).ok()
}

/// A token that this permit reaches. What it does not reach is missing.
fn find_for(permit: &Permit, db: &Connection, keys: &Keys, id: TokenId) -> Result<Row, Fault> {
    let row = row::find::<Row>(db, keys, id)?;
    let reaches_all = permit.proves_one_of(&[Action::TOKEN_REVOKE_ANY, Action::TOKEN_READ_ANY]).is_ok();
    let own = matches!(permit.actor(), Actor::Token { token, user, .. } if user == Some(row.user) || token == row.id);
    if row.customer == permit.customer() && (own || reaches_all) { Ok(row) } else { Err(Fault::missing(id)) }
}

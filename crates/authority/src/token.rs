//! Tokens: made, listed, revoked.

use std::collections::HashSet;

use crate::{
    authority::Authority,
    db::{self, Connection, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    mass_revoke,
    origin::Origin,
    row::{self, Sealed},
    text, usage,
    write::Write,
};
use keygate_model::{
    Action, Actor, CustomerId, Digest, Event, Expiry, MassRevokeId, Permit, Position, Record, Secret,
    Services, Subject, Timestamp, TokenId, UserId,
    event::NewToken,
    id,
    record::{Owner, TokenRecord},
    token::{Brand, Kind},
};

mod automation;
mod canary;
mod columns;
mod create;
mod import;
mod living;
mod read;
mod sudo;

pub use automation::AutomationOrder;
pub(crate) use automation::{convert, find_living_of};
use columns::{NEVER, id_bytes, read_services, read_time, stored_services, stored_time};
pub(crate) use create::refuse;
pub use create::{Idempotency, Order};
pub use import::{Import, ImportOwner, ImportedSecret};
pub(crate) use living::living_of;

/// A token as it is kept. The secret is not.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: TokenId,
    pub(crate) digest: Digest,
    /// Whose house.
    pub customer: CustomerId,
    /// Bound to whom.
    pub owner: Owner,
    /// The person who made it, or who made the token that made it.
    pub creator: Option<UserId>,
    /// The token that asked for it; none where a password did, or an import.
    pub parent: Option<TokenId>,
    /// Whether its secret was made elsewhere.
    pub foreign: bool,
    /// The contract's `tls_access`. Kept and shown; Keygate serves no TLS resources.
    pub tls_access: bool,
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

const COLUMNS: &str = "id, digest, customer_id, user_id, role, creator_id, parent_id, foreign_secret, tls_access, name, scope, services, expires_at, second_factor, \
                       sudo_until, created_at, updated_at, revoked_at, position, mac";

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
                    events.push(row.destroyed(None));
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
    /// The person it is bound to; none of an automation token.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self.owner {
            Owner::User(user) => Some(user),
            Owner::Customer { .. } => None,
        }
    }

    /// The role of an automation token.
    #[must_use]
    pub fn role(&self) -> Option<&str> {
        match &self.owner {
            Owner::User(_) => None,
            Owner::Customer { role } => Some(role),
        }
    }

    /// What the audit log tells of it.
    fn told(&self) -> NewToken {
        NewToken {
            token: self.id,
            owner: self.owner.clone(),
            creator: self.creator,
            name: self.name.clone(),
            scope: self.scope.clone(),
            services: self.services.clone(),
            expires_at: self.expires.date().map_or_else(|| "never".to_owned(), text::time),
            parent: self.parent,
        }
    }

    fn destroyed(&self, by: Option<MassRevokeId>) -> Event {
        Event::TokenDestroy { token: self.id, user: self.user(), name: self.name.clone(), by }
    }

    fn touch(&mut self, write: &Write<'_>, nth: i64) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(nth);
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("tokens", self.id.to_bytes(), &seal)?;
        let or = "ON CONFLICT (id) DO UPDATE SET user_id = $4, role = $5, creator_id = $6, services = $12,
             sudo_until = $15, updated_at = $17, revoked_at = $18, position = $19, mac = $20";
        self.insert(write, &seal, or)
    }

    /// Saves a new one, and never over another.
    fn save_new(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.seal_new(&seal);
        self.insert(write, &seal, "")
    }

    fn insert(&self, write: &Write<'_>, seal: &[u8; 32], or: &str) -> Result<(), Fault> {
        let mut insert = write.db().prepare_cached(&format!(
            "INSERT INTO tokens ({COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) {or}"
        ))?;
        Ok(insert.put(params![
            self.id.to_bytes(),
            self.digest.bytes(),
            self.customer.to_bytes(),
            self.user().map(UserId::to_bytes),
            self.role(),
            self.creator.map(UserId::to_bytes),
            self.parent.map(TokenId::to_bytes),
            self.foreign,
            self.tls_access,
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
        ])?)
    }
}

impl Sealed for Row {
    type Noun = id::Token;
    const TABLE: &'static str = "tokens";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let services = read_services(row.get_ref(11)?.as_str()?);
        let expires: i64 = row.get(12)?;
        let user = row.get::<Option<[u8; 16]>>(3)?.map(UserId::from_bytes);
        let owner = match (user, row.get::<Option<String>>(4)?) {
            (Some(user), None) => Some(Owner::User(user)),
            (None, Some(role)) => Some(Owner::Customer { role }),
            // Both, or neither: not a row of ours.
            _ => None,
        };
        let known = services.is_some() && owner.is_some();
        let read = Self {
            id: TokenId::from_bytes(row.get(0)?),
            digest: Digest::from_bytes(row.get(1)?),
            customer: CustomerId::from_bytes(row.get(2)?),
            owner: owner.unwrap_or(Owner::User(UserId::from_bits(0))),
            creator: row.get::<Option<[u8; 16]>>(5)?.map(UserId::from_bytes),
            parent: row.get::<Option<[u8; 16]>>(6)?.map(TokenId::from_bytes),
            foreign: row.get(7)?,
            tls_access: row.get(8)?,
            name: row.get(9)?,
            scope: row.get(10)?,
            services: services.unwrap_or(Services::All),
            expires: read_time(expires).map_or(Expiry::Never, Expiry::At),
            second_factor: row.get(13)?,
            sudo_until: read_time(row.get(14)?),
            created_at: Timestamp::from_micros(row.get(15)?),
            updated_at: Timestamp::from_micros(row.get(16)?),
            revoked_at: read_time(row.get(17)?),
            position: Position(row.get(18)?),
        };
        let sealed = known && read.seal(keys).is(row.get_ref(19)?.as_blob().unwrap_or_default());
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
            .blob(id_bytes(self.user().map(UserId::to_bytes).as_ref()))
            .text(self.role().unwrap_or_default())
            .blob(id_bytes(self.creator.map(UserId::to_bytes).as_ref()))
            .blob(id_bytes(self.parent.map(TokenId::to_bytes).as_ref()))
            .int(i64::from(self.foreign))
            .int(i64::from(self.tls_access))
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

    fn unsaid(t: &str) -> String {
        mass_revoke::over(t)
    }

    fn settled(mut self, unsaid: Option<Timestamp>) -> Self {
        self.revoked_at = self.revoked_at.or(unsaid);
        self
    }

    fn record(&self) -> Option<Record> {
        Some(Record::Token(TokenRecord {
            id: self.id,
            digest: self.digest,
            customer: self.customer,
            owner: self.owner.clone(),
            scope: self.scope.clone(),
            services: self.services.clone(),
            expires: self.expires,
            sudo_until: self.sudo_until,
            foreign: self.foreign,
            revoked: self.revoked_at.is_some(),
        }))
    }
}

/// A token that this permit reaches. What it does not reach is missing.
fn find_for(permit: &Permit, db: &Connection, keys: &Keys, id: TokenId) -> Result<Row, Fault> {
    let row = row::find::<Row>(db, keys, id)?;
    let reaches_all = permit.proves_one_of(&[Action::TOKEN_REVOKE_ANY, Action::TOKEN_READ_ANY]).is_ok();
    let own = matches!(permit.actor(), Actor::Token { token, user, .. }
        if (user.is_some() && user == row.user()) || token == row.id);
    if row.customer == permit.customer() && (own || reaches_all) { Ok(row) } else { Err(Fault::missing(id)) }
}

/// Notes in a token's row that a mass revoke has revoked it, with the `nth` event of this change. Tells whose it is.
pub(crate) fn note_revoked(
    write: &mut Write<'_>,
    id: TokenId,
    nth: i64,
    by: MassRevokeId,
) -> Result<(CustomerId, Event), Fault> {
    let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
    row.touch(write, nth);
    row.save(write)?;
    Ok((row.customer, row.destroyed(Some(by))))
}

/// The role of a living automation token.
pub(crate) fn role_of(write: &Write<'_>, id: TokenId) -> Result<String, Fault> {
    let row = row::find::<Row>(write.db(), write.keys(), id)?;
    row.role().map(str::to_owned).ok_or_else(|| Fault::missing(id))
}

/// What a token is called, for the events that it causes.
pub(crate) fn name_of(db: &Connection, id: TokenId) -> Result<String, Fault> {
    let mut select = db.prepare_cached("SELECT name FROM tokens WHERE id = $1")?;
    let mut rows = select.query([id.to_bytes()])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?.unwrap_or_default())
}

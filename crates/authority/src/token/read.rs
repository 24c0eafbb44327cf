//! Looking at tokens.

use keygate_model::{Action, Digest, Permit, Timestamp, TokenId, UserId, record::Owner};

use super::{NEVER, Row, Used, find_for};
use crate::{
    authority::Authority,
    db::{Connection, params},
    fault::Fault,
    keys::Keys,
    mass_revoke, row, usage,
    user::{self, acting_user},
};

impl Authority {
    /// The living tokens of a person, oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn tokens_of_user(&self, permit: &Permit, user: UserId) -> Result<Vec<Used>, Fault> {
        permit.proves(Action::TOKEN_READ)?;
        if acting_user(permit) != Some(user) && permit.is_the_operators().is_err() {
            return Err(Fault::missing(user));
        }
        let mut tokens = self.list("user_id", user.to_bytes()).await?;
        tokens.retain(|token| token.row.customer == permit.customer());
        Ok(tokens)
    }

    /// The living tokens of everybody in the customer, oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn tokens_of_customer(&self, permit: &Permit) -> Result<Vec<Used>, Fault> {
        permit.proves(Action::TOKEN_READ_ANY)?;
        let mut tokens = self.list("customer_id", permit.customer().to_bytes()).await?;
        tokens.retain(|token| token.row.user().is_some());
        Ok(tokens)
    }

    /// The living automation tokens of the customer, oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn automation_tokens(&self, permit: &Permit) -> Result<Vec<Used>, Fault> {
        permit.proves(Action::AUTOMATION_TOKEN_READ)?;
        let mut tokens = self.list("customer_id", permit.customer().to_bytes()).await?;
        tokens.retain(|token| token.row.user().is_none());
        Ok(tokens)
    }

    /// A living automation token of the customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn automation_token(&self, permit: &Permit, id: TokenId) -> Result<Used, Fault> {
        permit.proves(Action::AUTOMATION_TOKEN_READ)?;
        let customer = permit.customer();
        self.read(move |db, keys| {
            let row = row::find::<Row>(db, keys, id)?;
            if row.customer != customer || row.user().is_some() || row.revoked_at.is_some() {
                return Err(Fault::missing(id));
            }
            let mark = usage::of(db, [id].into_iter())?.remove(&id);
            Ok(Used { row, mark })
        })
        .await
    }

    /// A living token: one's own, or with [`Action::TOKEN_READ_ANY`] anybody's of the customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn token(&self, permit: &Permit, id: TokenId) -> Result<Used, Fault> {
        permit.proves_one_of(&[Action::TOKEN_READ_SELF, Action::TOKEN_READ, Action::TOKEN_READ_ANY])?;
        let permit = *permit;
        self.read(move |db, keys| {
            let row = find_for(&permit, db, keys, id)?;
            if row.revoked_at.is_some() {
                return Err(Fault::missing(id));
            }
            let mark = usage::of(db, [id].into_iter())?.remove(&id);
            Ok(Used { row, mark })
        })
        .await
    }

    /// The token that a refusal names, alive or not, and its owner's role: by its id, or by the beginning of its digest.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn denied_token(&self, permit: &Permit, named: [u8; 16]) -> Result<(Row, String), Fault> {
        permit.proves_one_of(&[Action::TOKEN_READ, Action::TOKEN_READ_ANY])?;
        let permit = *permit;
        self.read(move |db, keys| {
            let (from, to) = ([&named[..], &[0; 16]].concat(), [&named[..], &[0xff; 16]].concat());
            let mut select =
                db.prepare_cached("SELECT id FROM tokens WHERE id = $1 OR digest BETWEEN $2 AND $3 LIMIT 1")?;
            let mut rows = select.query(params![named, from, to])?;
            let missing = || Fault::missing(TokenId::from_bytes(named));
            let id = TokenId::from_bytes(rows.next()?.ok_or_else(missing)?.get(0)?);
            let row = find_for(&permit, db, keys, id)?;
            let role = match &row.owner {
                Owner::User(user) => row::find::<user::Row>(db, keys, *user)?.role,
                Owner::Customer { role } => role.clone(),
            };
            Ok((row, role))
        })
        .await
    }

    /// When the token with this digest was revoked, if there ever was one: for telling its holder, not for deciding.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn tombstone(&self, digest: Digest) -> Result<Option<(TokenId, Timestamp)>, Fault> {
        self.read(move |db, _| {
            let over = mass_revoke::over("t");
            let sql = format!("SELECT id, revoked_at, {over} FROM tokens t WHERE digest = $1");
            let mut select = db.prepare_cached(&sql)?;
            let mut rows = select.query([digest.bytes()])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (id, noted) = (TokenId::from_bytes(row.get(0)?), super::read_time(row.get(1)?));
            let over = row.get::<Option<i64>>(2)?.map(Timestamp::from_micros);
            Ok(noted.or(over).map(|at| (id, at)))
        })
        .await
    }

    async fn list(&self, column: &'static str, id: [u8; 16]) -> Result<Vec<Used>, Fault> {
        self.read(move |db, keys| {
            let which = format!("WHERE {column} = $1 AND revoked_at = {NEVER} ORDER BY created_at, id");
            let mut select = db.prepare_cached(&row::select::<Row>(&which))?;
            let mut rows = select.query([id])?;
            let mut tokens = Vec::new();
            while let Some(row) = rows.next()? {
                match row::believe::<Row>(row, keys) {
                    Ok(row) if row.revoked_at.is_none() => tokens.push(row),
                    Ok(_) => {}
                    Err(Fault::Tampered { noun, id }) => {
                        tracing::error!(noun, id, "a row fails its seal: not listed")
                    }
                    Err(fault) => return Err(fault),
                }
            }
            let mut marks = usage::of(db, tokens.iter().map(|row| row.id))?;
            Ok(tokens.into_iter().map(|row| Used { mark: marks.remove(&row.id), row }).collect())
        })
        .await
    }
}

/// The token with this digest, if there ever was one.
pub(super) fn find_by_digest(db: &Connection, keys: &Keys, digest: Digest) -> Result<Option<Row>, Fault> {
    let mut select = db.prepare_cached(&row::select::<Row>("WHERE digest = $1"))?;
    let mut rows = select.query([digest.bytes()])?;
    rows.next()?.map(|row| row::believe(row, keys)).transpose()
}

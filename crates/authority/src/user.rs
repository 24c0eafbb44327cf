//! People.

use keygate_model::{
    Action, Actor, AuthorizationId, CustomerId, Permit, Position, Record, ServiceId, Subject, Timestamp,
    UserId,
    authorization::{Permission, Reach},
    id,
    record::UserRecord,
    user::{Login, UserState},
};
use serde::{Deserialize, Serialize};

use crate::{
    authority::Authority,
    db::{self, Connection, Row as SqlRow, params},
    factor::{Factor, FactorState},
    fault::Fault,
    keys::{Keys, Seal},
    password::PasswordHash,
    row::{self, Sealed},
    write::Write,
};

mod authorization;
mod enrol;
mod offboard;
mod password;
mod update;

pub use authorization::{Authorization, NewAuthorization};
pub use offboard::Converted;
pub use password::Reset;
pub use update::{Changes, NewUser};
pub(crate) use update::{is_possible_role, login_is_free, may_give};

/// A person as they are kept.
#[derive(Clone)]
pub struct Row {
    /// Who.
    pub id: UserId,
    /// Whose.
    pub customer: CustomerId,
    /// What they log in with.
    pub login: Login,
    /// What they are called.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// Whether they may act.
    pub state: UserState,
    pub(crate) password: PasswordHash,
    /// Their second factor.
    pub factor: Factor,
    /// What the code of the link hashes to that sets a new password; nothing where there is no such link.
    pub(crate) reset: Vec<u8>,
    /// Until when that link serves.
    pub(crate) reset_until: Timestamp,
    /// Whether they must set a new password before they may make a token.
    pub must_change: bool,
    /// Whether they are limited to the services in `grants`.
    pub limited: bool,
    /// What they may do on which service, if they are limited.
    pub grants: Vec<Grant>,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
    pub(crate) position: Position,
}

/// What a person who is limited to services may do on one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The id of this authorisation.
    pub id: AuthorizationId,
    /// On which service.
    pub service: ServiceId,
    /// What.
    pub permission: Permission,
    /// When it was given, in microseconds since 1970.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

const COLUMNS: &str = "id, customer_id, login, name, role, state, password, factor, factor_seed, factor_step, \
                       factor_failures, factor_month, factor_month_failures, recovery, reset, reset_until, \
                       must_change, limited, grants, created_at, updated_at, position, mac";

impl Authority {
    /// A person of a customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn user(&self, customer: CustomerId, id: UserId) -> Result<Row, Fault> {
        self.read(move |db, keys| find_in(db, keys, customer, id)).await
    }

    /// Everybody in the customer who is not gone, the oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn users(&self, permit: &Permit) -> Result<Vec<Row>, Fault> {
        permit.proves(Action::USER_READ_ANY)?;
        let customer = permit.customer();
        self.read(move |db, keys| of_customer(db, keys, customer)).await
    }

    /// A person whom this permit reaches: oneself, or with [`Action::USER_READ_ANY`] anybody of the customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn user_for(&self, permit: &Permit, id: UserId) -> Result<Row, Fault> {
        permit.proves_one_of(&[Action::USER_READ_SELF, Action::USER_READ_ANY])?;
        if permit.proves(Action::USER_READ_ANY).is_err() && acting_user(permit) != Some(id) {
            return Err(Fault::missing(id));
        }
        let row = self.user(permit.customer(), id).await?;
        if row.state == UserState::Deleted { Err(Fault::missing(id)) } else { Ok(row) }
    }

    /// When a token of these people was used last.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn last_active(&self, people: Vec<UserId>) -> Result<Vec<Option<Timestamp>>, Fault> {
        self.read(move |db, _| {
            let mut select = db.prepare_cached(
                "SELECT max(used_at) FROM marks JOIN tokens ON tokens.id = marks.token_id WHERE tokens.user_id = $1",
            )?;
            let mut last = |user: UserId| select.query_row([user.to_bytes()], |row| row.get::<Option<i64>>(0));
            people.into_iter().map(|user| Ok(last(user)?.map(Timestamp::from_micros))).collect()
        })
        .await
    }

    /// The person with this login, for the command line.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn user_by_login(&self, login: &Login) -> Result<Row, Fault> {
        let login = login.clone();
        let missing = Fault::Missing { noun: "user", id: login.to_string() };
        self.read(move |db, keys| find_by_login(db, keys, &login)).await?.ok_or(missing)
    }

    /// The customer's superuser that was added first: its owner.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn owner_of(&self, customer: CustomerId) -> Result<Option<UserId>, Fault> {
        self.read(move |db, _| {
            let mut select = db.prepare_cached(
                "SELECT id FROM users WHERE customer_id = $1 AND role = 'superuser' AND state <> 'deleted'
                 ORDER BY created_at, id LIMIT 1",
            )?;
            let mut rows = select.query([customer.to_bytes()])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?.map(UserId::from_bytes))
        })
        .await
    }
}

impl Row {
    /// Whether the second factor is in force.
    #[must_use]
    pub fn has_factor(&self) -> bool {
        self.factor.state == FactorState::On
    }

    /// The services that they reach.
    #[must_use]
    pub fn reach(&self) -> Reach {
        if self.limited {
            Reach::Granted(self.grants.iter().map(|grant| (grant.service, grant.permission)).collect())
        } else {
            Reach::All
        }
    }

    /// Enters their grants in the index.
    pub(crate) fn index_grants(&self, write: &Write<'_>) -> Result<(), Fault> {
        let mut insert =
            write.db().prepare_cached("INSERT INTO authorizations (id, user_id) VALUES ($1, $2)")?;
        for grant in &self.grants {
            insert.execute(params![grant.id.to_bytes(), self.id.to_bytes()])?;
        }
        Ok(())
    }

    /// Grants as their column has them.
    fn grants_text(&self) -> String {
        serde_json::to_value(&self.grants).unwrap_or_default().to_string()
    }

    /// Notes that the `nth` event of this change is about this row.
    pub(crate) fn touch(&mut self, write: &Write<'_>, nth: i64) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(nth);
    }

    pub(crate) fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("users", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO users ({COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
             ON CONFLICT (id) DO UPDATE SET login = $3, name = $4, role = $5, state = $6, password = $7, factor = $8,
             factor_seed = $9, factor_step = $10, factor_failures = $11, factor_month = $12,
             factor_month_failures = $13, recovery = $14, reset = $15, reset_until = $16, must_change = $17,
             limited = $18, grants = $19, updated_at = $21, position = $22, mac = $23"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.customer.to_bytes(),
            self.login.as_str(),
            self.name,
            self.role,
            self.state.as_str(),
            self.password.as_str(),
            self.factor.state.as_str(),
            self.factor.seed,
            self.factor.step,
            self.factor.failures,
            self.factor.month,
            self.factor.month_failures,
            self.factor.recovery.join(" "),
            self.reset,
            self.reset_until.micros(),
            self.must_change,
            self.limited,
            self.grants_text(),
            self.created_at.micros(),
            self.updated_at.micros(),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::User;
    const TABLE: &'static str = "users";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let login_text: String = row.get(2)?;
        let login = Login::parse(&login_text).ok().filter(|login| login.as_str() == login_text);
        let state = UserState::of(&row.get::<String>(5)?);
        let factor_state = FactorState::of(&row.get::<String>(7)?);
        let recovery: String = row.get(13)?;
        let grants = serde_json::from_str(row.get_ref(18)?.as_str()?).ok();
        let known = login.is_some() && state.is_some() && factor_state.is_some() && grants.is_some();
        let read = Self {
            id: UserId::from_bytes(row.get(0)?),
            customer: CustomerId::from_bytes(row.get(1)?),
            login: login.or_else(|| Login::parse("unreadable").ok()).ok_or(db::Error::Unreadable)?,
            name: row.get(3)?,
            role: row.get(4)?,
            state: state.unwrap_or(UserState::Locked),
            password: PasswordHash::stored(row.get(6)?),
            factor: Factor {
                state: factor_state.unwrap_or(FactorState::On),
                seed: row.get(8)?,
                step: row.get(9)?,
                failures: row.get(10)?,
                month: row.get(11)?,
                month_failures: row.get(12)?,
                recovery: recovery.split(' ').filter(|tag| !tag.is_empty()).map(str::to_owned).collect(),
            },
            reset: row.get(14)?,
            reset_until: Timestamp::from_micros(row.get(15)?),
            must_change: row.get(16)?,
            limited: row.get(17)?,
            grants: grants.unwrap_or_default(),
            created_at: Timestamp::from_micros(row.get(19)?),
            updated_at: Timestamp::from_micros(row.get(20)?),
            position: Position(row.get(21)?),
        };
        let sealed = known && read.seal(keys).is(row.get_ref(22)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> UserId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("users")
            .blob(&self.id.to_bytes())
            .blob(&self.customer.to_bytes())
            .text(self.login.as_str())
            .text(&self.name)
            .text(&self.role)
            .text(self.state.as_str())
            .text(self.password.as_str())
            .text(self.factor.state.as_str())
            .blob(&self.factor.seed)
            .int(self.factor.step)
            .int(self.factor.failures)
            .int(self.factor.month)
            .int(self.factor.month_failures)
            .text(&self.factor.recovery.join(" "))
            .blob(&self.reset)
            .int(self.reset_until.micros())
            .int(i64::from(self.must_change))
            .int(i64::from(self.limited))
            .text(&self.grants_text())
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: UserId) -> Subject {
        Subject::User(id)
    }

    fn record(&self) -> Option<Record> {
        Some(Record::User(UserRecord {
            id: self.id,
            customer: self.customer,
            role: self.role.clone(),
            state: self.state,
            reach: self.reach(),
            has_factor: self.has_factor(),
        }))
    }
}

/// A person of a customer: a foreign one is as missing as one that never was.
pub(crate) fn find_in(db: &Connection, keys: &Keys, customer: CustomerId, id: UserId) -> Result<Row, Fault> {
    let row = row::find::<Row>(db, keys, id)?;
    if row.customer == customer { Ok(row) } else { Err(Fault::missing(id)) }
}

pub(crate) fn find_by_login(db: &Connection, keys: &Keys, login: &Login) -> Result<Option<Row>, Fault> {
    let mut select = db.prepare_cached(&row::select::<Row>("WHERE login = $1 AND state <> 'deleted'"))?;
    let mut rows = select.query([login.as_str()])?;
    rows.next()?.map(|row| row::believe(row, keys)).transpose()
}

/// Everybody in a customer who is not gone, the oldest first.
pub(crate) fn of_customer(db: &Connection, keys: &Keys, customer: CustomerId) -> Result<Vec<Row>, Fault> {
    let which = "WHERE customer_id = $1 AND state <> 'deleted' ORDER BY created_at, id";
    let mut select = db.prepare_cached(&row::select::<Row>(which))?;
    let mut rows = select.query([customer.to_bytes()])?;
    let mut people = Vec::new();
    while let Some(row) = rows.next()? {
        people.push(row::believe(row, keys)?);
    }
    Ok(people)
}

/// The person behind a permit, if it is a person's.
pub(crate) fn acting_user(permit: &Permit) -> Option<UserId> {
    match permit.actor() {
        Actor::Token { user, .. } => user,
        Actor::Person { user, .. } => Some(user),
        Actor::Operator { .. } | Actor::Stranger => None,
    }
}

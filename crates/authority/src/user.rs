//! People.

use keygate_model::{
    CustomerId, Event, Permit, Position, Record, Subject, Timestamp, UserId, id,
    record::UserRecord,
    user::{Login, UserState},
};
use rusqlite::{Connection, Row as SqlRow, params};

use crate::{
    authority::Authority,
    customer,
    factor::{Factor, FactorState},
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    password::{Password, PasswordHash},
    row::{self, Sealed},
    text,
    write::Write,
};

mod enrol;

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
    /// When they were added.
    pub created_at: Timestamp,
    /// When they were changed last.
    pub updated_at: Timestamp,
    pub(crate) position: Position,
}

/// A person to add.
pub struct NewUser {
    /// Their id; draw it.
    pub id: UserId,
    /// What they will log in with.
    pub login: Login,
    /// What they are called.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// Their password.
    pub password: Password,
    /// Random salt for its hash.
    pub salt: [u8; 16],
}

const COLUMNS: &str = "id, customer_id, login, name, role, state, password, factor, factor_seed, factor_step, \
                       factor_failures, factor_month, factor_month_failures, recovery, created_at, updated_at, \
                       position, mac";

impl Authority {
    /// Adds a person. The command line's; people are invited over HTTP.
    ///
    /// # Errors
    /// `role_invalid`, `password_*`, [`Fault::Taken`] for the login, [`Fault::Missing`] for the customer.
    pub async fn create_user(&self, permit: &Permit, origin: &Origin, new: NewUser) -> Result<Row, Fault> {
        permit.is_the_operators()?;
        let NewUser { id, login, name, role, password, salt } = new;
        let name = text::name("Name", &name)?;
        if self.policy().role(&role).is_none() {
            let why = format!("Role must be one of: {}", self.policy().role_names().join(", "));
            return Err(Fault::invalid("role_invalid", why));
        }
        password.fit_for_use()?;
        let password = self.passwords().hash(password, salt).await?;
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            row::find::<customer::Row>(write.db(), write.keys(), customer)?;
            if find_by_login(write.db(), write.keys(), &login)?.is_some() {
                return Err(Fault::Taken { noun: "user", what: login.to_string() });
            }
            let (now, position) = (write.origin().now, write.position_of(0));
            let (state, factor) = (UserState::Active, Factor::off());
            let (created_at, updated_at) = (now, now);
            let row = Row {
                id,
                customer,
                login,
                name,
                role,
                state,
                password,
                factor,
                created_at,
                updated_at,
                position,
            };
            row.save(&mut write)?;
            let event = Event::UserCreate { user: id, login: row.login.to_string(), role: row.role.clone() };
            write.commit(&event, row)
        })
        .await
    }

    /// Locks a person out, or lets them in again. Their tokens follow at once.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn set_user_state(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        state: UserState,
    ) -> Result<(), Fault> {
        let event = match state {
            UserState::Active => Event::UserUnlock { user },
            UserState::Locked | UserState::Deleted => Event::UserLock { user },
        };
        self.change_user(permit, origin, user, move |row| {
            row.state = state;
            event
        })
        .await
    }

    /// Gives a person another role. Their tokens follow at once.
    ///
    /// # Errors
    /// `role_invalid`; [`Fault::Missing`]; storage faults.
    pub async fn set_user_role(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        role: &str,
    ) -> Result<(), Fault> {
        if self.policy().role(role).is_none() {
            return Err(Fault::invalid("role_invalid", "no such role"));
        }
        let role = role.to_owned();
        self.change_user(permit, origin, user, move |row| {
            let old = std::mem::replace(&mut row.role, role.clone());
            Event::UserUpdate { user, old, new: role }
        })
        .await
    }

    /// A person of a customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn user(&self, customer: CustomerId, id: UserId) -> Result<Row, Fault> {
        self.read(move |db, keys| find_in(db, keys, customer, id)).await
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
                "SELECT id FROM users WHERE customer_id = $1 AND role = 'superuser' ORDER BY created_at, id LIMIT 1",
            )?;
            let mut rows = select.query([customer.to_bytes()])?;
            Ok(rows.next()?.map(|row| row.get(0)).transpose()?.map(UserId::from_bytes))
        })
        .await
    }

    async fn change_user(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        edit: impl FnOnce(&mut Row) -> Event + Send + 'static,
    ) -> Result<(), Fault> {
        permit.is_the_operators()?;
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_in(write.db(), write.keys(), customer, user)?;
            let event = edit(&mut row);
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&event, ())
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
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
             ON CONFLICT (id) DO UPDATE SET login = $3, name = $4, role = $5, state = $6, password = $7, factor = $8,
             factor_seed = $9, factor_step = $10, factor_failures = $11, factor_month = $12,
             factor_month_failures = $13, recovery = $14, updated_at = $16, position = $17, mac = $18"
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

    fn read(row: &SqlRow<'_>, keys: &Keys) -> rusqlite::Result<(Self, bool)> {
        let login_text: String = row.get(2)?;
        let login = Login::parse(&login_text).ok().filter(|login| login.as_str() == login_text);
        let state = UserState::of(&row.get::<_, String>(5)?);
        let factor_state = FactorState::of(&row.get::<_, String>(7)?);
        let recovery: String = row.get(13)?;
        let known = login.is_some() && state.is_some() && factor_state.is_some();
        let read = Self {
            id: UserId::from_bytes(row.get(0)?),
            customer: CustomerId::from_bytes(row.get(1)?),
            login: login.or_else(|| Login::parse("unreadable").ok()).ok_or(rusqlite::Error::InvalidQuery)?,
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
            created_at: Timestamp::from_micros(row.get(14)?),
            updated_at: Timestamp::from_micros(row.get(15)?),
            position: Position(row.get(16)?),
        };
        let sealed = known && read.seal(keys).is(row.get_ref(17)?.as_blob().unwrap_or_default());
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
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: UserId) -> Subject {
        Subject::User(id)
    }

    fn record(&self) -> Record {
        Record::User(UserRecord {
            id: self.id,
            customer: self.customer,
            role: self.role.clone(),
            state: self.state,
        })
    }
}

/// A person of a customer: a foreign one is as missing as one that never was.
pub(crate) fn find_in(db: &Connection, keys: &Keys, customer: CustomerId, id: UserId) -> Result<Row, Fault> {
    let row = row::find::<Row>(db, keys, id)?;
    if row.customer == customer { Ok(row) } else { Err(Fault::missing(id)) }
}

pub(crate) fn find_by_login(db: &Connection, keys: &Keys, login: &Login) -> Result<Option<Row>, Fault> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM users WHERE login = $1"))?;
    let mut rows = select.query([login.as_str()])?;
    rows.next()?.map(|row| row::believe(db, Row::read(row, keys)?)).transpose()
}

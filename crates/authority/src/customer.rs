//! Customers.

use std::collections::BTreeMap;

use keygate_model::{
    CustomerId, Event, EventId, Permit, Position, Record, Subject, Timestamp, UserId,
    customer::CustomerState, id, permit::Actor, record::CustomerRecord,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    authority::Authority,
    db::{self, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    text,
    write::Write,
};

mod settings;
mod update;

pub use settings::{Makers, Settings};
pub use update::{Changes, NewContact};

/// What may be known about a customer: fields of the contract that mean nothing to Keygate.
pub const PROFILE: [&str; 7] = [
    "phone_number",
    "postal_address",
    "billing_ref",
    "billing_contact_id",
    "legal_contact_id",
    "security_contact_id",
    "technical_contact_id",
];

/// Somebody to turn to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Which.
    pub id: EventId,
    /// What for.
    pub kind: String,
    /// A person's name.
    pub name: String,
    /// Their address.
    pub email: String,
    /// Their telephone number.
    pub phone: String,
    /// The user it is, if it is one.
    pub user: Option<UserId>,
    /// When it was added, in microseconds since 1970.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
}

/// A customer as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Whether its tokens may act.
    pub state: CustomerState,
    /// What it rules for its people and tokens.
    pub settings: Settings,
    /// What is known about it, by the names of [`PROFILE`].
    pub profile: BTreeMap<String, String>,
    /// Whom to turn to.
    pub contacts: Vec<Contact>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    pub(crate) position: Position,
}

const COLUMNS: &str = "id, name, state, settings, profile, contacts, created_at, updated_at, position, mac";

impl Authority {
    /// Makes a customer. Operators only, so there is nobody whose permit it would need.
    ///
    /// # Errors
    /// [`Fault::Invalid`] for an empty or endless name; storage faults.
    pub async fn create_customer(&self, origin: &Origin, id: CustomerId, name: &str) -> Result<Row, Fault> {
        let name = text::name("Name", name)?;
        let actor = Actor::Operator { customer: Some(id) };
        self.change(actor, origin, move |mut write| {
            match row::find::<Row>(write.db(), write.keys(), id) {
                Err(Fault::Missing { .. }) => {}
                Ok(_) => return Err(Fault::Taken { noun: "customer", what: id.to_string() }),
                Err(fault) => return Err(fault),
            }
            let (row, event) = make(&mut write, id, name)?;
            write.commit(&event, row)
        })
        .await
    }

    /// Suspends a customer, or resumes it. Every token of it follows at once.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn set_customer_state(
        &self,
        permit: &Permit,
        origin: &Origin,
        state: CustomerState,
    ) -> Result<(), Fault> {
        permit.is_the_operators()?;
        self.change_state(permit, origin, state).await
    }

    async fn change_state(
        &self,
        permit: &Permit,
        origin: &Origin,
        state: CustomerState,
    ) -> Result<(), Fault> {
        let id = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
            if row.state == CustomerState::Closed {
                return Err(Fault::refused(
                    "customer_closed",
                    "This customer was closed by its owner, for ever",
                ));
            }
            let (old, new) = (json!({ "state": row.state.as_str() }), json!({ "state": state.as_str() }));
            let event = Event::CustomerUpdate { customer: id, old, new };
            row.state = state;
            row.touch(&write);
            row.save(&mut write)?;
            write.commit(&event, ())
        })
        .await
    }

    /// A customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn customer(&self, id: CustomerId) -> Result<Row, Fault> {
        self.read(move |db, keys| row::find(db, keys, id)).await
    }
}

/// A new customer, as the first thing of a change.
pub(crate) fn make(write: &mut Write<'_>, id: CustomerId, name: String) -> Result<(Row, Event), Fault> {
    let now = write.origin().now;
    let row = Row {
        id,
        name,
        state: CustomerState::Active,
        settings: Settings::default(),
        profile: BTreeMap::new(),
        contacts: Vec::new(),
        created_at: now,
        updated_at: now,
        position: write.position_of(0),
    };
    row.save(write)?;
    let event = Event::CustomerCreate { customer: id, name: row.name.clone() };
    Ok((row, event))
}

impl Row {
    /// What the audit log compares.
    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "ip_whitelist": self.settings.ip_whitelist,
            "force_2fa": self.settings.force_2fa,
            "token_lifetime_max_days": self.settings.token_lifetime_max_days,
            "never_expiring_tokens": self.settings.never_expiring_tokens,
            "automation_token_makers": self.settings.automation_token_makers,
            "profile": self.profile,
        })
    }

    /// Settings, profile and contacts as their columns have them.
    fn texts(&self) -> [String; 3] {
        let text = |value: Result<Value, serde_json::Error>| value.unwrap_or_default().to_string();
        [
            text(serde_json::to_value(&self.settings)),
            text(serde_json::to_value(&self.profile)),
            text(serde_json::to_value(&self.contacts)),
        ]
    }

    fn touch(&mut self, write: &Write<'_>) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(0);
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("customers", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO customers ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (id) DO UPDATE SET name = $2, state = $3, settings = $4, profile = $5, contacts = $6,
             updated_at = $8, position = $9, mac = $10"
        ))?;
        let [settings, profile, contacts] = self.texts();
        upsert.execute(params![
            self.id.to_bytes(),
            self.name,
            self.state.as_str(),
            settings,
            profile,
            contacts,
            self.created_at.micros(),
            self.updated_at.micros(),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::Customer;
    const TABLE: &'static str = "customers";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
        let state = CustomerState::of(&row.get::<String>(2)?);
        let settings = serde_json::from_str(row.get_ref(3)?.as_str()?).ok();
        let profile = serde_json::from_str(row.get_ref(4)?.as_str()?).ok();
        let contacts = serde_json::from_str(row.get_ref(5)?.as_str()?).ok();
        let known = state.is_some() && settings.is_some() && profile.is_some() && contacts.is_some();
        let read = Self {
            id: CustomerId::from_bytes(row.get(0)?),
            name: row.get(1)?,
            state: state.unwrap_or(CustomerState::Suspended),
            settings: settings.unwrap_or_default(),
            profile: profile.unwrap_or_default(),
            contacts: contacts.unwrap_or_default(),
            created_at: Timestamp::from_micros(row.get(6)?),
            updated_at: Timestamp::from_micros(row.get(7)?),
            position: Position(row.get(8)?),
        };
        let sealed = known && read.seal(keys).is(row.get_ref(9)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> CustomerId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        let [settings, profile, contacts] = self.texts();
        keys.seal("customers")
            .blob(&self.id.to_bytes())
            .text(&self.name)
            .text(self.state.as_str())
            .text(&settings)
            .text(&profile)
            .text(&contacts)
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: CustomerId) -> Subject {
        Subject::Customer(id)
    }

    fn record(&self) -> Option<Record> {
        let rules = self.settings.rules();
        Some(Record::Customer(CustomerRecord { id: self.id, state: self.state, rules }))
    }
}

//! Customers.

use keygate_model::{
    CustomerId, Event, Permit, Position, Record, Subject, Timestamp, customer::CustomerState, id,
    permit::Actor, record::CustomerRecord,
};
use rusqlite::{Row as SqlRow, params};

use crate::{
    authority::Authority,
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    text,
    write::Write,
};

/// A customer as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: CustomerId,
    /// Its name.
    pub name: String,
    /// Whether its tokens may act.
    pub state: CustomerState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    pub(crate) position: Position,
}

const COLUMNS: &str = "id, name, state, created_at, updated_at, position, mac";

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
            let now = write.origin().now;
            let position = write.position_of(0);
            let row =
                Row { id, name, state: CustomerState::Active, created_at: now, updated_at: now, position };
            row.save(&mut write)?;
            let event = Event::CustomerCreate { customer: id, name: row.name.clone() };
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
        let id = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), id)?;
            let event = Event::CustomerUpdate { customer: id, old: row.state.as_str(), new: state.as_str() };
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

impl Row {
    fn touch(&mut self, write: &Write<'_>) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(0);
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("customers", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO customers ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (id) DO UPDATE SET name = $2, state = $3, updated_at = $5, position = $6, mac = $7"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.name,
            self.state.as_str(),
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

    fn read(row: &SqlRow<'_>, keys: &Keys) -> rusqlite::Result<(Self, bool)> {
        let state = CustomerState::of(&row.get::<_, String>(2)?);
        let read = Self {
            id: CustomerId::from_bytes(row.get(0)?),
            name: row.get(1)?,
            state: state.unwrap_or(CustomerState::Suspended),
            created_at: Timestamp::from_micros(row.get(3)?),
            updated_at: Timestamp::from_micros(row.get(4)?),
            position: Position(row.get(5)?),
        };
        let sealed = state.is_some() && read.seal(keys).is(row.get_ref(6)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> CustomerId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("customers")
            .blob(&self.id.to_bytes())
            .text(&self.name)
            .text(self.state.as_str())
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    fn subject(id: CustomerId) -> Subject {
        Subject::Customer(id)
    }

    fn record(&self) -> Record {
        Record::Customer(CustomerRecord { id: self.id, state: self.state })
    }
}

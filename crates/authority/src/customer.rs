//! Customers.

use keygate_model::{
    CustomerId, Event, Permit, Position, Record, Subject, Timestamp, customer::CustomerState, permit::Actor,
    record::CustomerRecord,
};
use rusqlite::{Connection, Row as SqlRow, params};

use crate::{
    authority::Authority,
    event,
    fault::Fault,
    feed::{Tell, believed},
    keys::Keys,
    origin::Origin,
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
            match find(write.db(), write.keys(), id) {
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
            let mut row = find(write.db(), write.keys(), id)?;
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
        self.read(move |db, keys| find(db, keys, id)).await
    }
}

impl Row {
    /// What gates need to know.
    pub(crate) fn record(&self) -> CustomerRecord {
        CustomerRecord { id: self.id, state: self.state }
    }

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

    fn seal(&self, keys: &Keys) -> crate::keys::Seal {
        keys.seal("customers")
            .blob(&self.id.to_bytes())
            .text(&self.name)
            .text(self.state.as_str())
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.position.0)
    }

    /// Reads a row, and whether its seal is right.
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
}

pub(crate) fn find(db: &Connection, keys: &Keys, id: CustomerId) -> Result<Row, Fault> {
    let mut select = db.prepare_cached(&format!("SELECT {COLUMNS} FROM customers WHERE id = $1"))?;
    let mut rows = select.query([id.to_bytes()])?;
    let row = rows.next()?.ok_or_else(|| Fault::missing(id))?;
    let (row, sealed) = Row::read(row, keys)?;
    believed(sealed, id, row.position, event::last_about(db, Subject::Customer(id))?)?;
    Ok(row)
}

/// Tells every customer.
pub(crate) fn each(db: &Connection, keys: &Keys, tell: &mut Tell<'_>) -> Result<(), Fault> {
    walk(db, keys, &mut |id, row| match row {
        Ok(row) => tell(Some(Record::Customer(row.record())), Some(row.seal(keys).finish())),
        Err(_) => tell(Some(Record::Broken(Subject::Customer(id))), None),
    })
}

/// Calls `see` with every customer, and whether its row can be believed.
pub(crate) fn walk(
    db: &Connection,
    keys: &Keys,
    see: &mut dyn FnMut(CustomerId, Result<Row, Fault>),
) -> Result<(), Fault> {
    let mut select = db.prepare(&format!("SELECT {COLUMNS} FROM customers ORDER BY id"))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (row, sealed) = Row::read(row, keys)?;
        let last = event::last_about(db, Subject::Customer(row.id))?;
        see(row.id, believed(sealed, row.id, row.position, last).map(|()| row));
    }
    Ok(())
}

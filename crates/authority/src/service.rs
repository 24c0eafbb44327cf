//! Services: what access can be restricted to. For the purge API, cached sites with their domains and cache nodes.

use keygate_model::{
    Action, Actor, CustomerId, Event, Permit, Position, Record, ServiceId, Services, Subject, Timestamp,
    authorization::Reach, id, record::ServiceRecord,
};
use rusqlite::{Connection, Row as SqlRow, params};
use serde_json::{Map, Value};

use crate::{
    authority::Authority,
    customer,
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    text, token, user,
    write::Write,
};

/// A service as it is kept.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which.
    pub id: ServiceId,
    /// Whose.
    pub customer: CustomerId,
    /// Its name, unique among the living ones of the customer.
    pub name: String,
    /// `vcl` or `wasm`.
    pub kind: String,
    /// What its owner says about it.
    pub comment: String,
    /// The host names it serves.
    pub domains: Vec<String>,
    /// The cache nodes that serve it, as URLs.
    pub nodes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    pub(crate) position: Position,
}

/// A service to make. Domains and nodes have been parsed by whoever fills this in.
#[derive(Clone, Debug, Default)]
pub struct NewService {
    /// Its name.
    pub name: String,
    /// `vcl`, unless said otherwise.
    pub kind: Option<String>,
    /// A comment.
    pub comment: String,
    /// The host names it serves.
    pub domains: Vec<String>,
    /// Its cache nodes.
    pub nodes: Vec<String>,
}

/// What to change of a service.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Its name.
    pub name: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
}

/// What services are of a kind of.
const KINDS: [&str; 2] = ["vcl", "wasm"];

const COLUMNS: &str = "id, customer_id, name, kind, comment, domains, nodes, created_at, updated_at, deleted_at, \
                       position, mac";

impl Authority {
    /// Makes a service.
    ///
    /// # Errors
    /// `service_type_invalid`, `name_invalid`, [`Fault::Taken`] for the name or a domain; storage faults.
    pub async fn create_service(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: ServiceId,
        new: NewService,
    ) -> Result<Row, Fault> {
        permit.proves(Action::SERVICE_CREATE)?;
        let name = text::name("Name", &new.name)?;
        let comment = text::comment("Comment", &new.comment)?;
        let kind = new.kind.clone().unwrap_or_else(|| KINDS[0].to_owned());
        if !KINDS.contains(&kind.as_str()) {
            return Err(Fault::invalid(
                "service_type_invalid",
                format!("Type must be one of: {}", KINDS.join(", ")),
            ));
        }
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            row::find::<customer::Row>(write.db(), write.keys(), customer)?;
            let (now, position) = (write.origin().now, write.position_of(0));
            let NewService { domains, nodes, .. } = new;
            let (created_at, updated_at, deleted_at) = (now, now, None);
            let row = Row {
                id,
                customer,
                name,
                kind,
                comment,
                domains,
                nodes,
                created_at,
                updated_at,
                deleted_at,
                position,
            };
            row.name_is_free(&write)?;
            row.save(&mut write)?;
            row.claim_domains(&write)?;
            write.commit(&Event::ServiceCreate { service: id, name: row.name.clone() }, row)
        })
        .await
    }

    /// Changes name or comment.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`], [`Fault::Taken`], `name_invalid`; storage faults.
    pub async fn update_service(
        &self,
        permit: &Permit,
        origin: &Origin,
        changes: Changes,
    ) -> Result<Row, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        let (customer, id) = (permit.customer(), asked_about(permit)?);
        let name = changes.name.map(|name| text::name("Name", &name)).transpose()?;
        let comment = changes.comment.map(|comment| text::comment("Comment", &comment)).transpose()?;
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_living(write.db(), write.keys(), customer, id)?;
            let (mut old, mut new) = (Map::new(), Map::new());
            if let Some(name) = name.filter(|name| *name != row.name) {
                old.insert("name".to_owned(), Value::from(std::mem::replace(&mut row.name, name.clone())));
                new.insert("name".to_owned(), Value::from(name));
                row.name_is_free(&write)?;
            }
            if let Some(comment) = comment.filter(|comment| *comment != row.comment) {
                old.insert(
                    "comment".to_owned(),
                    Value::from(std::mem::replace(&mut row.comment, comment.clone())),
                );
                new.insert("comment".to_owned(), Value::from(comment));
            }
            row.touch(&write);
            row.save(&mut write)?;
            write.commit(&Event::ServiceUpdate { service: id, old: old.into(), new: new.into() }, row)
        })
        .await
    }

    /// Deletes a service: its name and domains are free again, its row stays for the log.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn delete_service(&self, permit: &Permit, origin: &Origin) -> Result<(), Fault> {
        permit.proves(Action::SERVICE_DELETE)?;
        let (customer, id) = (permit.customer(), asked_about(permit)?);
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_living(write.db(), write.keys(), customer, id)?;
            row.deleted_at = Some(write.origin().now);
            row.touch(&write);
            row.save(&mut write)?;
            write
                .db()
                .prepare_cached("DELETE FROM domains WHERE service_id = $1")?
                .execute([id.to_bytes()])?;
            write.commit(&Event::ServiceDelete { service: id, name: row.name }, ())
        })
        .await
    }

    /// Notes that everything of a service is about to be purged. The purge follows the event, never the other way.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn note_purge_all(&self, permit: &Permit, origin: &Origin) -> Result<Row, Fault> {
        permit.proves(Action::PURGE_ALL)?;
        let (customer, id) = (permit.customer(), asked_about(permit)?);
        self.change(permit.actor(), origin, move |write| {
            let row = find_living(write.db(), write.keys(), customer, id)?;
            write.commit(&Event::ServicePurgeAll { service: id }, row)
        })
        .await
    }

    /// The service that a permit is about.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn service(&self, permit: &Permit) -> Result<Row, Fault> {
        permit.proves_one_of(&[Action::SERVICE_READ, Action::PURGE_KEY, Action::PURGE_URL])?;
        let (customer, id) = (permit.customer(), asked_about(permit)?);
        self.read(move |db, keys| find_living(db, keys, customer, id)).await
    }

    /// The living services that the token that asks may touch, oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn services(&self, permit: &Permit) -> Result<Vec<Row>, Fault> {
        permit.proves(Action::SERVICE_LIST)?;
        let (customer, actor) = (permit.customer(), permit.actor());
        self.read(move |db, keys| {
            let reach = match actor {
                Actor::Token { token, .. } => row::find::<token::Row>(db, keys, token)?.services,
                _ => Services::All,
            };
            let person = match actor {
                Actor::Token { user: Some(user), .. } => user::find_in(db, keys, customer, user)?.reach(),
                _ => Reach::All,
            };
            let reached = |id| match &person {
                Reach::All => true,
                Reach::Granted(grants) => grants.on(id).is_some(),
            };
            let mut select = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM services WHERE customer_id = $1 AND deleted_at IS NULL ORDER BY created_at, id"
            ))?;
            let mut rows = select.query([customer.to_bytes()])?;
            let mut services = Vec::new();
            while let Some(row) = rows.next()? {
                let row = row::believe(db, Row::read(row, keys)?)?;
                if reach.contains(row.id) && reached(row.id) {
                    services.push(row);
                }
            }
            Ok(services)
        })
        .await
    }

    /// The living service of a customer that serves this host, if there is one.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn service_at(&self, permit: &Permit, host: &str) -> Result<Option<ServiceId>, Fault> {
        permit.proves(Action::PURGE_URL)?;
        let (customer, host) = (permit.customer(), host.to_owned());
        self.read(move |db, keys| {
            let mut select = db.prepare_cached("SELECT service_id FROM domains WHERE name = $1")?;
            let mut rows = select.query([&host])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            match find_living(db, keys, customer, ServiceId::from_bytes(row.get(0)?)) {
                // The index is not sealed, the row is.
                Ok(row) => Ok(row.domains.contains(&host).then_some(row.id)),
                Err(Fault::Missing { .. } | Fault::Deleted { .. }) => Ok(None),
                Err(fault) => Err(fault),
            }
        })
        .await
    }
}

fn asked_about(permit: &Permit) -> Result<ServiceId, Fault> {
    permit.service().ok_or(Fault::Permit(keygate_model::permit::WrongPermit))
}

impl Row {
    fn touch(&mut self, write: &Write<'_>) {
        self.updated_at = write.origin().now;
        self.position = write.position_of(0);
    }

    fn name_is_free(&self, write: &Write<'_>) -> Result<(), Fault> {
        let mut select = write.db().prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM services WHERE customer_id = $1 AND name = $2 AND deleted_at IS NULL
             AND id <> $3)",
        )?;
        let taken = select
            .query_row(params![self.customer.to_bytes(), self.name, self.id.to_bytes()], |row| {
                row.get::<_, bool>(0)
            })?;
        if taken { Err(Fault::Taken { noun: "service", what: self.name.clone() }) } else { Ok(()) }
    }

    fn claim_domains(&self, write: &Write<'_>) -> Result<(), Fault> {
        for domain in &self.domains {
            let mut claim = write.db().prepare_cached(
                "INSERT INTO domains (name, service_id) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
            )?;
            if claim.execute(params![domain, self.id.to_bytes()])? == 0 {
                return Err(Fault::Taken { noun: "domain", what: domain.clone() });
            }
        }
        Ok(())
    }

    fn save(&self, write: &mut Write<'_>) -> Result<(), Fault> {
        let seal = self.seal(write.keys()).finish();
        write.reseal("services", self.id.to_bytes(), &seal)?;
        let mut upsert = write.db().prepare_cached(&format!(
            "INSERT INTO services ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT (id) DO UPDATE SET name = $3, comment = $5, domains = $6, nodes = $7, updated_at = $9,
             deleted_at = $10, position = $11, mac = $12"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.customer.to_bytes(),
            self.name,
            self.kind,
            self.comment,
            self.domains.join(" "),
            self.nodes.join(" "),
            self.created_at.micros(),
            self.updated_at.micros(),
            self.deleted_at.map(Timestamp::micros),
            self.position.0,
            seal,
        ])?;
        Ok(())
    }
}

impl Sealed for Row {
    type Noun = id::Service;
    const TABLE: &'static str = "services";
    const COLUMNS: &'static str = COLUMNS;

    fn read(row: &SqlRow<'_>, keys: &Keys) -> rusqlite::Result<(Self, bool)> {
        let words =
            |text: String| text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let read = Self {
            id: ServiceId::from_bytes(row.get(0)?),
            customer: CustomerId::from_bytes(row.get(1)?),
            name: row.get(2)?,
            kind: row.get(3)?,
            comment: row.get(4)?,
            domains: words(row.get(5)?),
            nodes: words(row.get(6)?),
            created_at: Timestamp::from_micros(row.get(7)?),
            updated_at: Timestamp::from_micros(row.get(8)?),
            deleted_at: row.get::<_, Option<i64>>(9)?.map(Timestamp::from_micros),
            position: Position(row.get(10)?),
        };
        let sealed = read.seal(keys).is(row.get_ref(11)?.as_blob().unwrap_or_default());
        Ok((read, sealed))
    }

    fn id(&self) -> ServiceId {
        self.id
    }

    fn position(&self) -> Position {
        self.position
    }

    fn seal(&self, keys: &Keys) -> Seal {
        keys.seal("services")
            .blob(&self.id.to_bytes())
            .blob(&self.customer.to_bytes())
            .text(&self.name)
            .text(&self.kind)
            .text(&self.comment)
            .text(&self.domains.join(" "))
            .text(&self.nodes.join(" "))
            .int(self.created_at.micros())
            .int(self.updated_at.micros())
            .int(self.deleted_at.map_or(i64::MAX, Timestamp::micros))
            .int(self.position.0)
    }

    fn subject(id: ServiceId) -> Subject {
        Subject::Service(id)
    }

    fn record(&self) -> Option<Record> {
        Some(Record::Service(ServiceRecord { id: self.id, customer: self.customer }))
    }
}

/// A service of a customer, deleted or not: a foreign one is as missing as one that never was.
pub(crate) fn find_in(
    db: &Connection,
    keys: &Keys,
    customer: CustomerId,
    id: ServiceId,
) -> Result<Row, Fault> {
    let row = row::find::<Row>(db, keys, id)?;
    if row.customer == customer { Ok(row) } else { Err(Fault::missing(id)) }
}

/// Refuses a service that is not a living one of this customer.
pub(crate) fn is_living(write: &Write<'_>, customer: CustomerId, id: ServiceId) -> Result<(), Fault> {
    let missing = || Fault::invalid("service_not_found", format!("Cannot find service '{id}'"));
    match find_living(write.db(), write.keys(), customer, id) {
        Ok(_) => Ok(()),
        Err(Fault::Missing { .. } | Fault::Deleted { .. }) => Err(missing()),
        Err(fault) => Err(fault),
    }
}

fn find_living(db: &Connection, keys: &Keys, customer: CustomerId, id: ServiceId) -> Result<Row, Fault> {
    let row = find_in(db, keys, customer, id)?;
    if row.deleted_at.is_none() {
        Ok(row)
    } else {
        Err(Fault::Deleted { noun: "service", id: id.to_string() })
    }
}

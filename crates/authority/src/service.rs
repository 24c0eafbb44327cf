//! Services: what access can be restricted to. For the purge API, cached sites with their domains and cache nodes.

use crate::{
    authority::Authority,
    customer,
    db::{self, Connection, Row as SqlRow, params},
    fault::Fault,
    keys::{Keys, Seal},
    origin::Origin,
    row::{self, Sealed},
    text,
    write::Write,
};
use keygate_model::{
    Action, CustomerId, Event, Permit, Position, Record, ServiceId, Subject, Timestamp, id,
    record::ServiceRecord, version::Versions,
};

mod read;
mod update;
mod version;

pub use update::Changes;

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
    /// Its versions.
    pub versions: Versions,
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

/// What services are of a kind of.
const KINDS: [&str; 2] = ["vcl", "wasm"];

/// How many domains a service has at most, and how many cache nodes: a row has a size, and a purge waits for every node.
const DOMAINS_MAX: usize = 256;
const NODES_MAX: usize = 64;

const COLUMNS: &str = "id, customer_id, name, kind, comment, domains, nodes, versions, created_at, updated_at, \
                       deleted_at, position, mac";

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
        let (domains, nodes) =
            (bounded("domains", new.domains, DOMAINS_MAX)?, bounded("nodes", new.nodes, NODES_MAX)?);
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            row::find::<customer::Row>(write.db(), write.keys(), customer)?;
            let (now, position) = (write.origin().now, write.position_of(0));
            let (created_at, updated_at, deleted_at) = (now, now, None);
            let row = Row {
                id,
                customer,
                name,
                kind,
                comment,
                domains,
                nodes,
                versions: Versions::first(now),
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
            row.release_domains(&write)?;
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
}

fn asked_about(permit: &Permit) -> Result<ServiceId, Fault> {
    permit.service().ok_or(Fault::Permit(keygate_model::permit::WrongPermit))
}

/// A list without repetitions, and not too long.
fn bounded(what: &str, list: Vec<String>, most: usize) -> Result<Vec<String>, Fault> {
    let mut once = Vec::new();
    for item in list {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    let too_long = || Fault::invalid("list_too_long", format!("A service has {most} {what} at most"));
    if once.len() <= most { Ok(once) } else { Err(too_long()) }
}

impl Row {
    fn living(self) -> Result<Self, Fault> {
        if self.deleted_at.is_none() {
            Ok(self)
        } else {
            Err(Fault::Deleted { noun: "service", id: self.id.to_string() })
        }
    }

    fn release_domains(&self, write: &Write<'_>) -> Result<(), Fault> {
        write
            .db()
            .prepare_cached("DELETE FROM domains WHERE service_id = $1")?
            .execute([self.id.to_bytes()])?;
        Ok(())
    }

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
                row.get::<bool>(0)
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
            "INSERT INTO services ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
             ON CONFLICT (id) DO UPDATE SET name = $3, comment = $5, domains = $6, nodes = $7, versions = $8,
             updated_at = $10, deleted_at = $11, position = $12, mac = $13"
        ))?;
        upsert.execute(params![
            self.id.to_bytes(),
            self.customer.to_bytes(),
            self.name,
            self.kind,
            self.comment,
            self.domains.join(" "),
            self.nodes.join(" "),
            self.versions.to_lines(),
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

    fn read(row: SqlRow<'_>, keys: &Keys) -> db::Result<(Self, bool)> {
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
            versions: Versions::from_lines(&row.get::<String>(7)?).ok_or(db::Error::Unreadable)?,
            created_at: Timestamp::from_micros(row.get(8)?),
            updated_at: Timestamp::from_micros(row.get(9)?),
            deleted_at: row.get::<Option<i64>>(10)?.map(Timestamp::from_micros),
            position: Position(row.get(11)?),
        };
        let sealed = read.seal(keys).is(row.get_ref(12)?.as_blob().unwrap_or_default());
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
            .text(&self.versions.to_lines())
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
    find_in(db, keys, customer, id)?.living()
}

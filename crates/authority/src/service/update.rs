//! Changing a service.

use keygate_model::{Action, Event, Permit, ServiceId};
use serde_json::{Map, Value};

use super::{DOMAINS_MAX, NODES_MAX, Row, asked_about, bounded, find_living};
use crate::{authority::Authority, fault::Fault, origin::Origin, text};

/// What to change of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Its name.
    pub name: Option<String>,
    /// Its comment.
    pub comment: Option<String>,
    /// The host names it serves: these and no others.
    pub domains: Option<Vec<String>>,
    /// Its cache nodes: these and no others.
    pub nodes: Option<Vec<String>>,
}

impl Authority {
    /// Changes the service that the permit is about.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`], [`Fault::Taken`] for the name or a domain, `name_invalid`,
    /// `list_too_long`; storage faults.
    pub async fn update_service(
        &self,
        permit: &Permit,
        origin: &Origin,
        changes: Changes,
    ) -> Result<Row, Fault> {
        permit.proves(Action::SERVICE_UPDATE)?;
        self.amend_service(permit, origin, asked_about(permit)?, changes).await
    }

    /// The same for the operator, whose permit is about no service.
    ///
    /// # Errors
    /// Those of [`Authority::update_service`].
    pub async fn update_service_by_id(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: ServiceId,
        changes: Changes,
    ) -> Result<Row, Fault> {
        permit.is_the_operators()?;
        self.amend_service(permit, origin, id, changes).await
    }

    async fn amend_service(
        &self,
        permit: &Permit,
        origin: &Origin,
        id: ServiceId,
        changes: Changes,
    ) -> Result<Row, Fault> {
        let customer = permit.customer();
        let changes = changes.checked()?;
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_living(write.db(), write.keys(), customer, id)?;
            let (old, new) = row.take(changes);
            if old.contains_key("name") {
                row.name_is_free(&write)?;
            }
            if old.contains_key("domains") {
                row.release_domains(&write)?;
                row.claim_domains(&write)?;
            }
            row.touch(&write);
            row.save(&mut write)?;
            write.commit(&Event::ServiceUpdate { service: id, old: old.into(), new: new.into() }, row)
        })
        .await
    }
}

impl Changes {
    fn checked(self) -> Result<Self, Fault> {
        Ok(Self {
            name: self.name.map(|name| text::name("Name", &name)).transpose()?,
            comment: self.comment.map(|comment| text::comment("Comment", &comment)).transpose()?,
            domains: self.domains.map(|domains| bounded("domains", domains, DOMAINS_MAX)).transpose()?,
            nodes: self.nodes.map(|nodes| bounded("nodes", nodes, NODES_MAX)).transpose()?,
        })
    }
}

impl Row {
    /// Takes what is wanted otherwise, and returns that as it was and as it is, for the event.
    fn take(
        &mut self,
        Changes { name, comment, domains, nodes }: Changes,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let mut told = (Map::new(), Map::new());
        replace("name", &mut self.name, name, &mut told);
        replace("comment", &mut self.comment, comment, &mut told);
        replace("domains", &mut self.domains, domains, &mut told);
        replace("nodes", &mut self.nodes, nodes, &mut told);
        told
    }
}

fn replace<T: Clone + PartialEq + Into<Value>>(
    name: &str,
    field: &mut T,
    wanted: Option<T>,
    (old, new): &mut (Map<String, Value>, Map<String, Value>),
) {
    if let Some(wanted) = wanted.filter(|wanted| wanted != field) {
        new.insert(name.to_owned(), wanted.clone().into());
        old.insert(name.to_owned(), std::mem::replace(field, wanted).into());
    }
}

//! Looking at services.

use keygate_model::{Action, Actor, Permit, ServiceId, Services, authorization::Reach};

use super::{Row, asked_about, find_living};
use crate::{authority::Authority, fault::Fault, row, token, user};

impl Authority {
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
            let which = "WHERE customer_id = $1 AND deleted_at IS NULL ORDER BY created_at, id";
            let mut select = db.prepare_cached(&row::select::<Row>(which))?;
            let mut rows = select.query([customer.to_bytes()])?;
            let mut services = Vec::new();
            while let Some(row) = rows.next()? {
                let row: Row = row::believe(row, keys)?;
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

    /// The living service with this id, for the command line.
    ///
    /// # Errors
    /// [`Fault::Missing`], [`Fault::Deleted`]; storage faults.
    pub async fn service_by_id(&self, id: ServiceId) -> Result<Row, Fault> {
        self.read(move |db, keys| row::find::<Row>(db, keys, id)?.living()).await
    }
}

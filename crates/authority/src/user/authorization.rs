//! Service authorisations: what a person who is limited to services may do on each (CONTRACT §17). Kept in the person's
//! own row, so that what they may do is sealed and told as one thing.

use super::{Grant, Row, find_in, of_customer};
use crate::{
    authority::Authority,
    db::{Connection, params},
    fault::Fault,
    keys::Keys,
    origin::Origin,
    row, service,
    write::Write,
};
use keygate_model::{
    Action, AuthorizationId, Event, Permit, ServiceId, UserId, authorization::Permission, event::Granted,
    user::UserState,
};

/// The most services that one person is given one by one.
const GRANTS_MAX: usize = 500;

/// A service authorisation, with whose it is.
#[derive(Clone, Debug)]
pub struct Authorization {
    /// Who.
    pub user: UserId,
    /// What, and where.
    pub grant: Grant,
}

/// A service authorisation to make.
#[derive(Clone, Copy, Debug)]
pub struct NewAuthorization {
    /// Its id; draw it.
    pub id: AuthorizationId,
    /// Who.
    pub user: UserId,
    /// Where.
    pub service: ServiceId,
    /// What.
    pub permission: Permission,
}

impl Authority {
    /// The service authorisations of everybody in the customer, the oldest first.
    ///
    /// # Errors
    /// Storage faults.
    pub async fn authorizations(&self, permit: &Permit) -> Result<Vec<Authorization>, Fault> {
        permit.proves(Action::AUTHORIZATION_READ)?;
        let customer = permit.customer();
        let people = self.read(move |db, keys| of_customer(db, keys, customer)).await?;
        let of = |row: Row| {
            let user = row.id;
            row.grants.into_iter().map(move |grant| Authorization { user, grant })
        };
        let mut all: Vec<_> = people.into_iter().flat_map(of).collect();
        all.sort_by_key(|one| (one.grant.created_at, one.grant.id));
        Ok(all)
    }

    /// One service authorisation of the customer.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn authorization(&self, permit: &Permit, id: AuthorizationId) -> Result<Authorization, Fault> {
        permit.proves(Action::AUTHORIZATION_READ)?;
        let permit = *permit;
        self.read(move |db, keys| {
            let (row, place) = find(db, keys, &permit, id)?;
            Ok(Authorization { user: row.id, grant: row.grants[place].clone() })
        })
        .await
    }

    /// Gives a person something on a service. It means something while they are limited to services.
    ///
    /// # Errors
    /// `service_not_found`, `user_not_found`, `authorizations_too_many`; [`Fault::Taken`] if they have one on the
    /// service; storage faults.
    pub async fn create_authorization(
        &self,
        permit: &Permit,
        origin: &Origin,
        new: NewAuthorization,
    ) -> Result<Authorization, Fault> {
        permit.proves(Action::AUTHORIZATION_UPDATE)?;
        let permit = *permit;
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = new.person(&write, &permit)?;
            let now = write.origin().now.micros();
            let NewAuthorization { id, service, permission, .. } = new;
            let grant = Grant { id, service, permission, created_at: now, updated_at: now };
            row.grants.push(grant.clone());
            row.touch(&write, 0);
            row.save(&mut write)?;
            write
                .db()
                .prepare_cached("INSERT INTO authorizations (id, user_id) VALUES ($1, $2)")?
                .execute(params![id.to_bytes(), row.id.to_bytes()])?;
            let event = Event::AuthorizationCreate(told(row.id, &grant));
            write.commit(&event, Authorization { user: row.id, grant })
        })
        .await
    }

    /// Changes what people may do on services: all of them, or none if one is not there.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn update_authorizations(
        &self,
        permit: &Permit,
        origin: &Origin,
        changes: Vec<(AuthorizationId, Permission)>,
    ) -> Result<Vec<Authorization>, Fault> {
        permit.proves(Action::AUTHORIZATION_UPDATE)?;
        let permit = *permit;
        self.change(permit.actor(), origin, move |mut write| {
            let (mut events, mut changed, mut people) = (Vec::new(), Vec::new(), People::default());
            for (id, permission) in changes {
                let (row, place) = people.find(&write, &permit, id)?;
                let (user, now) = (row.id, write.origin().now.micros());
                let grant = &mut row.grants[place];
                let old = std::mem::replace(&mut grant.permission, permission);
                grant.updated_at = now;
                events.push(Event::AuthorizationUpdate { now: told(user, grant), old });
                changed.push(Authorization { user, grant: grant.clone() });
            }
            people.save(&mut write, &events)?;
            write.commit_each(&events, changed)
        })
        .await
    }

    /// Takes from people what they may do on services: all of it, or nothing if one is not there.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn delete_authorizations(
        &self,
        permit: &Permit,
        origin: &Origin,
        ids: Vec<AuthorizationId>,
    ) -> Result<Vec<Authorization>, Fault> {
        permit.proves(Action::AUTHORIZATION_UPDATE)?;
        let permit = *permit;
        self.change(permit.actor(), origin, move |mut write| {
            let (mut events, mut gone, mut people) = (Vec::new(), Vec::new(), People::default());
            for id in ids {
                let (row, place) = people.find(&write, &permit, id)?;
                let grant = row.grants.remove(place);
                events.push(Event::AuthorizationDelete(told(row.id, &grant)));
                gone.push(Authorization { user: row.id, grant });
                write
                    .db()
                    .prepare_cached("DELETE FROM authorizations WHERE id = $1")?
                    .execute([id.to_bytes()])?;
            }
            people.save(&mut write, &events)?;
            write.commit_each(&events, gone)
        })
        .await
    }
}

/// The people whom one change is about, each read once: a row that was changed is ahead of its event until the end.
#[derive(Default)]
struct People(Vec<Row>);

impl People {
    /// The person whose authorisation this is, and its place among theirs.
    fn find(
        &mut self,
        write: &Write<'_>,
        permit: &Permit,
        id: AuthorizationId,
    ) -> Result<(&mut Row, usize), Fault> {
        let known = self.0.iter().position(|row| row.grants.iter().any(|grant| grant.id == id));
        let at = match known {
            Some(at) => at,
            None => {
                let (row, _) = find(write.db(), write.keys(), permit, id)?;
                // Somebody whom this change has already taken it from.
                if self.0.iter().any(|known| known.id == row.id) {
                    return Err(Fault::missing(id));
                }
                self.0.push(row);
                self.0.len() - 1
            }
        };
        let row = &mut self.0[at];
        let place = row.grants.iter().position(|grant| grant.id == id).ok_or_else(|| Fault::missing(id))?;
        Ok((row, place))
    }

    /// Saves everybody, each with the last of the events about them.
    fn save(mut self, write: &mut Write<'_>, events: &[Event]) -> Result<(), Fault> {
        for row in &mut self.0 {
            let last = events.iter().rposition(|event| event.user() == Some(row.id)).unwrap_or_default();
            row.touch(write, last as i64);
            row.save(write)?;
        }
        Ok(())
    }
}

impl NewAuthorization {
    /// The person it is for, if they can have it.
    fn person(&self, write: &Write<'_>, permit: &Permit) -> Result<Row, Fault> {
        let customer = permit.customer();
        let user_missing = || Fault::invalid("user_not_found", format!("Cannot find user '{}'", self.user));
        let row = match find_in(write.db(), write.keys(), customer, self.user) {
            Ok(row) if row.state != UserState::Deleted => row,
            Ok(_) | Err(Fault::Missing { .. }) => return Err(user_missing()),
            Err(fault) => return Err(fault),
        };
        service::is_living(write, customer, self.service)?;
        if row.grants.iter().any(|grant| grant.service == self.service) {
            return Err(Fault::Taken { noun: "serviceauthorization", what: self.service.to_string() });
        }
        if row.grants.len() >= GRANTS_MAX {
            let why = format!("A user is given {GRANTS_MAX} services one by one at most");
            return Err(Fault::invalid("authorizations_too_many", why));
        }
        Ok(row)
    }
}

/// The person whose authorisation this is, and its place among theirs. A foreign one is as missing as one that never was.
fn find(db: &Connection, keys: &Keys, permit: &Permit, id: AuthorizationId) -> Result<(Row, usize), Fault> {
    let mut select = db.prepare_cached("SELECT user_id FROM authorizations WHERE id = $1")?;
    let mut rows = select.query([id.to_bytes()])?;
    let found = rows.next()?.ok_or_else(|| Fault::missing(id))?;
    let row = row::find::<Row>(db, keys, UserId::from_bytes(found.get(0)?))?;
    // The index is not sealed, the row is.
    let place = row.grants.iter().position(|grant| grant.id == id);
    let is_there = row.customer == permit.customer() && row.state != UserState::Deleted;
    match place {
        Some(place) if is_there => Ok((row, place)),
        _ => Err(Fault::missing(id)),
    }
}

fn told(user: UserId, grant: &Grant) -> Granted {
    Granted { authorization: grant.id, user, service: grant.service, permission: grant.permission }
}

//! Automation tokens: owned by the customer, so that nobody's departure breaks them (CONTRACT §10).

use keygate_model::{
    Action, Actor, Digest, Event, Permit, Policy, Services, TokenId, UserId, authorization::Reach,
    customer::CustomerState, policy, record::Owner,
};

use super::{
    Issued, Minted, Order, Row,
    create::{Parent, SCOPE, asking, is_living},
    living::{Whose, living_automation},
};
use crate::{authority::Authority, customer, fault::Fault, origin::Origin, row, user, write::Write};

/// An automation token that somebody wants.
#[derive(Clone, Debug)]
pub struct AutomationOrder {
    /// What every token has.
    pub order: Order,
    /// The name of the role that it will have.
    pub role: String,
    /// The contract's `tls_access`.
    pub tls_access: bool,
}

impl Authority {
    /// Makes an automation token: for a person in sudo, or for an automation token that was given the right. Never wider
    /// than who asks, in scope, role, services or time.
    ///
    /// # Errors
    /// [`Fault::Wider`]; `role_invalid`, `scope_invalid`, `expiry_invalid`, `service_not_found`, `name_invalid`,
    /// `token_limit_reached`; storage faults.
    pub async fn create_automation_token(
        &self,
        permit: &Permit,
        origin: &Origin,
        wanted: AutomationOrder,
        minted: Minted,
    ) -> Result<Issued, Fault> {
        permit.proves_one_of(&[Action::AUTOMATION_TOKEN_CREATE, Action::AUTOMATION_TOKEN_MINT])?;
        let (permit, policy) = (*permit, self.policy_handle());
        self.change(permit.actor(), origin, move |mut write| {
            let parent = maker(&policy, &mut write, &permit, &wanted.role)?;
            let AutomationOrder { mut order, tls_access, .. } = wanted;
            // What the one who asks may do in all is no default: the right to make tokens is given by naming it.
            order.scope.get_or_insert_with(|| SCOPE.to_owned());
            let mut row = order.fill(&policy, &write, &parent, &minted, 0)?;
            row.tls_access = tls_access;
            row.save_new(&mut write)?;
            let event = Event::TokenCreate(row.told());
            write.commit(&event, Issued { row, secret: minted.secret })
        })
        .await
    }

    /// Notes that a token was used whose owner is locked or gone. Whoever calls this does so now and then, not for every
    /// request: a dead token in a busy loop must not fill the log.
    ///
    /// # Errors
    /// [`Fault::Missing`] if there is no such token; storage faults.
    pub async fn note_owner_disabled(&self, origin: &Origin, digest: Digest) -> Result<(), Fault> {
        let found = self.read(move |db, keys| super::read::find_by_digest(db, keys, digest)).await?;
        let Some(row) = found else { return Ok(()) };
        let actor = Actor::Token { token: row.id, customer: row.customer, user: row.user() };
        let event = Event::TokenOwnerDisabled { token: row.id, user: row.user() };
        self.change(actor, origin, move |write| write.commit(&event, ())).await
    }
}

/// Who asks for an automation token with this role, and their limits.
fn maker(policy: &Policy, write: &mut Write<'_>, permit: &Permit, role: &str) -> Result<Parent, Fault> {
    let Actor::Token { token, customer, user } = permit.actor() else {
        return Err(Fault::Permit(keygate_model::permit::WrongPermit));
    };
    let (asking, house, living, creator, reach) = match user {
        Some(user) => {
            let (asking, person, house, living) = asking(write, token, (customer, user), Whose::Machines)?;
            still_may(policy, &house, &person.role, Action::AUTOMATION_TOKEN_CREATE)?;
            (asking, house, living, Some(user), person.reach())
        }
        None => {
            let asking = row::find::<Row>(write.db(), write.keys(), token)?;
            let asking = is_living(write, asking)?;
            let house = row::find::<customer::Row>(write.db(), write.keys(), customer)?;
            still_may(policy, &house, asking.role().unwrap_or_default(), Action::AUTOMATION_TOKEN_MINT)?;
            let (living, creator) = (living_automation(write, customer)?, asking.creator);
            (asking, house, living, creator, Reach::All)
        }
    };
    let seen = policy.seen_by(Some(customer));
    if role == policy::SUPERUSER || seen.role_on_offer(role).is_none() {
        let known = seen.role_names().into_iter().filter(|name| *name != policy::SUPERUSER);
        let why = format!("Role must be one of: {}", known.collect::<Vec<_>>().join(", "));
        return Err(Fault::invalid("role_invalid", why));
    }
    user::may_give(policy, write, permit, role)?;
    Ok(Parent {
        customer: house,
        living,
        owner: Owner::Customer { role: role.to_owned() },
        creator,
        token: Some(asking),
        reach,
        second_factor: false,
    })
}

/// Refuses whom the gate let in a moment ago and would not any more: a lower role or a rule that came first is seen.
fn still_may(policy: &Policy, house: &customer::Row, role: &str, action: Action) -> Result<(), Fault> {
    let has_role = policy.role(role).unwrap_or_default().contains(action);
    let may = house.state == CustomerState::Active && !house.settings.rules().forbids.contains(&action);
    if has_role && may { Ok(()) } else { Err(Fault::Wider { excess: policy.name(action).to_owned() }) }
}

/// A living token of this person.
pub(crate) fn find_living_of(write: &Write<'_>, user: UserId, id: TokenId) -> Result<Row, Fault> {
    let row = row::find::<Row>(write.db(), write.keys(), id)?;
    let living = row.revoked_at.is_none() && row.expires.is_alive(write.origin().now);
    if row.user() == Some(user) && living { Ok(row) } else { Err(Fault::missing(id)) }
}

/// Makes a person's token one of the customer's, with the same secret and the `nth` event of this change. What it may do
/// must not grow: whoever calls this says within which services that is so.
pub(crate) fn convert(
    write: &mut Write<'_>,
    mut row: Row,
    role: &str,
    services: Services,
    nth: i64,
) -> Result<Event, Fault> {
    let user = row.user().ok_or_else(|| Fault::missing(row.id))?;
    row.owner = Owner::Customer { role: role.to_owned() };
    row.creator = row.creator.or(Some(user));
    row.services = services;
    // There is no password behind it any more.
    row.sudo_until = None;
    row.touch(write, nth);
    row.save(write)?;
    Ok(Event::TokenConvert { now: row.told(), user })
}

//! Off-boarding: a person goes, and what runs on their tokens does not stop.

use keygate_model::{
    Action, ActionSet, Event, Permit, Policy, Services, TokenId, UserId,
    authorization::{Permission, Reach},
    user::UserState,
};

use super::{
    Row,
    update::{find_living, remove},
};
use crate::{authority::Authority, customer, fault::Fault, origin::Origin, row, token, write::Write};

/// A token that has become the customer's.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Which.
    pub token: TokenId,
    /// What it is called.
    pub name: String,
    /// The role that it has now: that of the person, as it was.
    pub role: String,
}

impl Authority {
    /// Removes a person, and makes some of their tokens automation tokens first, with the same secrets and no wider
    /// rights. Their other tokens stay theirs, and are refused from now on. All of it, or nothing.
    ///
    /// # Errors
    /// `token_not_convertible`, `last_superuser`; [`Fault::Missing`] for a token that is not a living one of theirs;
    /// storage faults.
    pub async fn offboard_user(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        convert: Vec<TokenId>,
    ) -> Result<Vec<Converted>, Fault> {
        permit.proves(Action::USER_DELETE)?;
        let (permit, policy) = (*permit, self.policy_handle());
        self.change(permit.actor(), origin, move |mut write| {
            let row = find_living(&write, &permit, user)?;
            if !convert.is_empty() {
                may_act(&write, &row)?;
            }
            let (mut events, mut converted) = (Vec::new(), Vec::new());
            for id in convert {
                if converted.iter().any(|known: &Converted| known.token == id) {
                    continue;
                }
                let token = token::find_living_of(&write, user, id)?;
                let services = services_after(&policy, &row, &token)?;
                let event = token::convert(&mut write, token, &row.role, services, events.len() as i64)?;
                if let Event::TokenConvert { now, .. } = &event {
                    converted.push(Converted { token: id, name: now.name.clone(), role: row.role.clone() });
                }
                events.push(event);
            }
            let nth = events.len() as i64;
            events.push(remove(&mut write, row, nth)?);
            write.commit_each(&events, converted)
        })
        .await
    }
}

/// Refuses to hand on what is refused today: a token of somebody locked would come back to life.
fn may_act(write: &Write<'_>, row: &Row) -> Result<(), Fault> {
    let customer = row::find::<customer::Row>(write.db(), write.keys(), row.customer)?;
    if row.state == UserState::Active && (row.has_factor() || !customer.settings.force_2fa) {
        return Ok(());
    }
    let why = "This person's tokens are refused today, and would not be as automation tokens: unlock them, or let them set \
               up their second factor, first";
    Err(Fault::refused("owner_disabled", why))
}

/// The services of a token once nobody's reach limits it any more: those that its person has in full.
fn services_after(policy: &Policy, row: &Row, token: &token::Row) -> Result<Services, Fault> {
    let may = policy.scopes(&token.scope).unwrap_or_default();
    let may = may.minus(may.minus(policy.role(&row.role).unwrap_or_default()));
    if may.minus(policy.machines_own()) != may {
        let why =
            "can make automation tokens, which takes its person a password and would take a machine none";
        return Err(not_convertible(token, why));
    }
    let Reach::Granted(grants) = row.reach() else { return Ok(token.services.clone()) };
    // Giving itself up is about no service.
    let there = may.minus(ActionSet::from_iter([Action::TOKEN_REVOKE_SELF]));
    let whole = |permission: Permission| there.minus(policy.permission(permission)).is_empty();
    let services =
        grants.all().iter().filter(|(_, permission)| whole(*permission)).map(|(service, _)| *service);
    let within = services.filter(|service| token.services.contains(*service));
    Services::only(within)
        .map_err(|_| not_convertible(token, "may do more than its person may on any of their services"))
}

fn not_convertible(token: &token::Row, what: &str) -> Fault {
    let why = format!(
        "Token {} {what}: as an automation token it would be wider. Make a new one instead",
        token.id
    );
    Fault::invalid("token_not_convertible", why)
}

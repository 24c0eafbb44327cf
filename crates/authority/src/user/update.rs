//! Adding, changing and removing people.

use keygate_model::{
    Action, ActionSet, Actor, CustomerId, Event, Permit, Policy, UserId, policy,
    user::{Login, UserState},
};
use serde_json::{Value, json};

use super::{Row, acting_user, find_by_login, find_in};
use crate::{
    authority::Authority,
    change, customer,
    db::params,
    factor::Factor,
    fault::Fault,
    origin::Origin,
    password::{NewPassword, PasswordHash},
    row, text, token,
    write::Write,
};

/// A person to add.
pub struct NewUser {
    /// Their id; draw it.
    pub id: UserId,
    /// What they will log in with.
    pub login: Login,
    /// What they are called.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// Whether they are limited to services that they are given one by one.
    pub limited: bool,
    /// Their password. None: they set one by a link.
    pub password: Option<NewPassword>,
}

/// What to change of a person.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// What they are called.
    pub name: Option<String>,
    /// What they log in with.
    pub login: Option<Login>,
    /// The name of their role.
    pub role: Option<String>,
    /// Whether they may act. To remove somebody is a verb of its own.
    pub locked: Option<bool>,
    /// Whether they are limited to services that they are given one by one.
    pub limited: Option<bool>,
    /// Whether they must set a new password before they may make a token.
    pub must_change: Option<bool>,
}

impl Authority {
    /// Adds a person, with a role no wider than that of who adds them.
    ///
    /// # Errors
    /// `role_invalid`, `password_*`, [`Fault::Wider`], [`Fault::SudoRequired`] to give a role that adds people,
    /// [`Fault::Taken`] for the login, [`Fault::Missing`] for the customer.
    pub async fn create_user(&self, permit: &Permit, origin: &Origin, new: NewUser) -> Result<Row, Fault> {
        permit.proves(Action::USER_CREATE)?;
        let (customer, policy) = (permit.customer(), self.policy_handle());
        let password = self.fit_password(customer, &new.login, &new.name, new.password).await?;
        let (permit, new) = (*permit, NewUser { password: None, ..new });
        self.change(permit.actor(), origin, move |mut write| {
            may_give(&policy, &write, &permit, &new.role)?;
            let row = new.row(&policy, &write, customer, password, 0)?;
            row.save(&mut write)?;
            let event = row.told_as_new();
            write.commit(&event, row)
        })
        .await
    }

    /// Hashes a password that is fit for this person.
    pub(crate) async fn fit_password(
        &self,
        customer: CustomerId,
        login: &Login,
        name: &str,
        new: Option<NewPassword>,
    ) -> Result<PasswordHash, Fault> {
        let Some(new) = new else { return Ok(PasswordHash::none()) };
        let company = self.customer(customer).await?.name;
        let local = login.as_str().split('@').next().unwrap_or_default();
        new.password.fit_for_use(&[login.as_str(), local, name, &company])?;
        self.passwords().hash(new).await
    }

    /// Changes a person: oneself, or with [`Action::USER_UPDATE_ANY`] anybody of the customer. Their tokens follow at
    /// once.
    ///
    /// # Errors
    /// `role_invalid`, `user_limited_superuser`, `not_yours_to_change`; `last_superuser`; [`Fault::Wider`],
    /// [`Fault::SudoRequired`] for another login or a role that adds people, [`Fault::Taken`], [`Fault::Missing`]; storage
    /// faults.
    pub async fn update_user(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        changes: Changes,
    ) -> Result<Row, Fault> {
        permit.proves_one_of(&[Action::USER_UPDATE_SELF, Action::USER_UPDATE_ANY])?;
        changes.are_for(permit, user)?;
        let (permit, policy) = (*permit, self.policy_handle());
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_living(&write, &permit, user)?;
            let before = row.clone();
            changes.apply(&policy, &write, &permit, &mut row)?;
            stays_led(&write, &before, &row)?;
            row.touch(&write, 0);
            let event = changed(&policy, &before, &row);
            row.save(&mut write)?;
            write.commit(&event, row)
        })
        .await
    }

    /// Removes a person who has no living token. Their login is free again; their row stays for the log.
    ///
    /// # Errors
    /// `user_has_tokens`, `last_superuser`; [`Fault::Missing`]; storage faults.
    pub async fn delete_user(&self, permit: &Permit, origin: &Origin, user: UserId) -> Result<(), Fault> {
        permit.proves(Action::USER_DELETE)?;
        let permit = *permit;
        self.change(permit.actor(), origin, move |mut write| {
            let row = find_living(&write, &permit, user)?;
            // First, whether they may go at all: who leads alone must not revoke their tokens for nothing.
            let event = remove(&mut write, row, 0)?;
            let living = token::living_of(&write, user)?;
            if living > 0 {
                let why = format!(
                    "This user has living tokens ({living}): revoke them first, or hand them over with \
                     `keygate user offboard`"
                );
                return Err(Fault::invalid("user_has_tokens", why));
            }
            write.commit(&event, ())
        })
        .await
    }
}

/// Marks a person as gone, with the `nth` event of this change.
pub(super) fn remove(write: &mut Write<'_>, mut row: Row, nth: i64) -> Result<Event, Fault> {
    let before = row.clone();
    row.state = UserState::Deleted;
    stays_led(write, &before, &row)?;
    row.touch(write, nth);
    row.save(write)?;
    Ok(Event::UserDestroy { user: row.id, login: row.login.to_string() })
}

impl NewUser {
    /// The row of this person, whom the `nth` event of this change is about.
    pub(crate) fn row(
        &self,
        policy: &Policy,
        write: &Write<'_>,
        customer: CustomerId,
        password: PasswordHash,
        nth: i64,
    ) -> Result<Row, Fault> {
        row::find::<customer::Row>(write.db(), write.keys(), customer)?;
        let now = write.origin().now;
        let row = Row {
            id: self.id,
            customer,
            login: self.login.clone(),
            name: text::name("Name", &self.name)?,
            role: self.role.clone(),
            state: UserState::Active,
            password,
            factor: Factor::off(),
            reset: Vec::new(),
            reset_until: now,
            must_change: false,
            limited: self.limited,
            grants: Vec::new(),
            created_at: now,
            updated_at: now,
            position: write.position_of(nth),
        };
        is_possible_role(policy, row.customer, &row.role, row.limited)?;
        login_is_free(write, &row.login)?;
        Ok(row)
    }
}

impl Changes {
    /// To lock or unlock.
    #[must_use]
    pub fn locked(locked: bool) -> Self {
        Self { locked: Some(locked), ..Self::default() }
    }

    /// To give another role.
    #[must_use]
    pub fn role(role: &str) -> Self {
        Self { role: Some(role.to_owned()), ..Self::default() }
    }

    /// Whether this permit is for such changes of this person: one's own name is one's own to change, and no more.
    fn are_for(&self, permit: &Permit, user: UserId) -> Result<(), Fault> {
        if permit.proves(Action::USER_UPDATE_ANY).is_ok() {
            return Ok(());
        }
        if acting_user(permit) != Some(user) {
            return Err(Fault::missing(user));
        }
        let Self { name: _, login, role, locked, limited, must_change } = self;
        let more = login.is_some() || role.is_some() || locked.is_some() || limited.is_some();
        if more || must_change.is_some() {
            let why = "You may change your own name; ask a superuser for the rest";
            return Err(Fault::refused("not_yours_to_change", why));
        }
        Ok(())
    }

    fn apply(&self, policy: &Policy, write: &Write<'_>, permit: &Permit, row: &mut Row) -> Result<(), Fault> {
        if let Some(name) = &self.name {
            row.name = text::name("Name", name)?;
        }
        if let Some(role) = self.role.as_ref().filter(|role| **role != row.role) {
            may_give(policy, write, permit, role)?;
            row.role.clone_from(role);
        }
        if let Some(locked) = self.locked {
            row.state = if locked { UserState::Locked } else { UserState::Active };
        }
        row.limited = self.limited.unwrap_or(row.limited);
        row.must_change = self.must_change.unwrap_or(row.must_change);
        if let Some(login) = self.login.as_ref().filter(|login| **login != row.login) {
            // The links that set a password go to the login.
            in_sudo(write, permit)?;
            row.login = login.clone();
            login_is_free(write, login)?;
            // It was sent to the one before.
            row.forget_reset();
        }
        is_possible_role(policy, row.customer, &row.role, row.limited)
    }
}

impl Row {
    /// What the audit log tells of a new person.
    pub(crate) fn told_as_new(&self) -> Event {
        Event::UserCreate { user: self.id, login: self.login.to_string(), role: self.role.clone() }
    }

    /// What the audit log compares.
    fn told(&self) -> Value {
        json!({
            "name": self.name,
            "login": self.login.as_str(),
            "role": self.role,
            "limit_services": self.limited,
            "require_new_password": self.must_change,
        })
    }
}

/// Whether there is such a role, and somebody with it can be limited to services, if they are.
pub(crate) fn is_possible_role(
    policy: &Policy,
    customer: CustomerId,
    role: &str,
    limited: bool,
) -> Result<(), Fault> {
    let seen = policy.seen_by(Some(customer));
    if seen.role_on_offer(role).is_none() {
        let why = format!("Role must be one of: {}", seen.role_names().join(", "));
        return Err(Fault::invalid("role_invalid", why));
    }
    if limited && role == policy::SUPERUSER {
        let why = "A superuser cannot be limited to services; give another role first";
        return Err(Fault::invalid("user_limited_superuser", why));
    }
    Ok(())
}

/// Refuses a login that somebody has.
pub(crate) fn login_is_free(write: &Write<'_>, login: &Login) -> Result<(), Fault> {
    match find_by_login(write.db(), write.keys(), login)? {
        Some(_) => Err(Fault::Taken { noun: "user", what: login.to_string() }),
        None => Ok(()),
    }
}

/// A person of the customer who is not gone.
pub(super) fn find_living(write: &Write<'_>, permit: &Permit, user: UserId) -> Result<Row, Fault> {
    let row = find_in(write.db(), write.keys(), permit.customer(), user)?;
    if row.state == UserState::Deleted { Err(Fault::missing(user)) } else { Ok(row) }
}

/// What changed, in one event: the contract has names of its own for locking and for a role that may do more.
fn changed(policy: &Policy, before: &Row, after: &Row) -> Event {
    let user = after.id;
    let (old, new) = change::between(&before.told(), &after.told());
    let only_state = new.as_object().is_none_or(serde_json::Map::is_empty);
    match (before.state, after.state) {
        (UserState::Active, UserState::Locked) if only_state => return Event::UserLock { user },
        (UserState::Locked, UserState::Active) if only_state => return Event::UserUnlock { user },
        _ => {}
    }
    let actions = |row: &Row| policy.role(&row.role).unwrap_or_default();
    let promoted = !actions(after).minus(actions(before)).is_empty();
    let with_state = |mut told: Value, row: &Row| {
        if before.state != after.state {
            told["locked"] = (row.state == UserState::Locked).into();
        }
        told
    };
    Event::UserUpdate { user, old: with_state(old, before), new: with_state(new, after), promoted }
}

/// Refuses a change after which nobody would lead the customer.
fn stays_led(write: &Write<'_>, before: &Row, after: &Row) -> Result<(), Fault> {
    let leads = |row: &Row| row.role == policy::SUPERUSER && row.state == UserState::Active;
    if leads(before) && !leads(after) {
        is_not_last(write, before)?;
    }
    Ok(())
}

/// Refuses what the last superuser must not do to themself.
pub(super) fn is_not_last(write: &Write<'_>, superuser: &Row) -> Result<(), Fault> {
    let mut select = write.db().prepare_cached(
        "SELECT count(*) FROM users WHERE customer_id = $1 AND role = 'superuser' AND state = 'active' AND id <> $2",
    )?;
    let others: i64 = select
        .query_row(params![superuser.customer.to_bytes(), superuser.id.to_bytes()], |row| row.get(0))?;
    if others == 0 {
        let why = "This is the last superuser; make another one first";
        return Err(Fault::refused("last_superuser", why));
    }
    Ok(())
}

/// Refuses a token on which no password was shown lately.
fn in_sudo(write: &Write<'_>, permit: &Permit) -> Result<(), Fault> {
    let until = match permit.actor() {
        Actor::Operator { .. } => return Ok(()),
        Actor::Token { token, .. } => row::find::<token::Row>(write.db(), write.keys(), token)?.sudo_until,
        Actor::Person { .. } | Actor::Stranger => None,
    };
    if until.is_some_and(|until| write.origin().now < until) { Ok(()) } else { Err(Fault::SudoRequired) }
}

/// What whoever acts may do today by their role: the most that they may hand on.
fn role_of(policy: &Policy, write: &Write<'_>, permit: &Permit) -> Result<ActionSet, Fault> {
    let role = match permit.actor() {
        Actor::Operator { .. } => return Ok(policy.grantable(policy.all())),
        Actor::Token { user: Some(user), .. } => {
            find_in(write.db(), write.keys(), permit.customer(), user)?.role
        }
        Actor::Token { token, .. } => token::role_of(write, token)?,
        Actor::Person { .. } | Actor::Stranger => return Ok(ActionSet::EMPTY),
    };
    Ok(policy.grantable(policy.role(&role).unwrap_or_default()))
}

/// Refuses to give a role that is wider than that of who gives it.
pub(crate) fn may_give(policy: &Policy, write: &Write<'_>, permit: &Permit, role: &str) -> Result<(), Fault> {
    is_possible_role(policy, permit.customer(), role, false)?;
    let excess = policy.role(role).unwrap_or_default().minus(role_of(policy, write, permit)?);
    if !excess.is_empty() {
        return Err(Fault::Wider { excess: policy.seen_by(Some(permit.customer())).excess(excess) });
    }
    // Whoever has found a token must not make a person with it who then shows a password of their own.
    let adds_people = policy.role(role).is_some_and(|actions| actions.contains(Action::USER_CREATE));
    if adds_people { in_sudo(write, permit) } else { Ok(()) }
}

//! Passwords of people: changed by showing the old one, or set by a link that serves once.

use std::time::Duration;

use keygate_model::{
    Action, Actor, Event, Permit, Timestamp,
    link::LinkCode,
    token::Digest,
    user::{Login, UserState},
};

use super::{Row, acting_user, find_by_login};
use crate::{
    authority::Authority,
    customer,
    db::Connection,
    fault::{Fault, LoginRefusal},
    login::{self, Attempt, Door, Judged},
    origin::Origin,
    password::{NewPassword, PasswordHash},
    row,
    token::{self, refuse},
};

/// How long a link that sets a new password serves.
const RESET: Duration = Duration::from_secs(3600);

/// A link that sets a new password, on its way to whom it is for.
pub struct Reset {
    /// Whose.
    pub login: Login,
    /// The code.
    pub code: LinkCode,
    /// Until when it serves.
    pub until: Timestamp,
}

impl Authority {
    /// Changes a person's password. They show the old one; who comes without a token that was made with a code, and has a
    /// second factor, their code too. With a permit, it
    /// must be that of the same person.
    ///
    /// # Errors
    /// [`Fault::Login`], counted like any other failure; `password_*`; storage faults.
    pub async fn change_password(
        &self,
        permit: Option<&Permit>,
        origin: &Origin,
        attempt: Attempt,
        new: NewPassword,
    ) -> Result<Row, Fault> {
        permit.map_or(Ok(()), |permit| permit.proves(Action::PASSWORD_CHANGE))?;
        if new.password == attempt.password {
            return Err(Fault::invalid(
                "password_unchanged",
                "The new password is the old one; take another",
            ));
        }
        let asking = permit.and_then(acting_user);
        let (login, has_permit, has_code) = (attempt.login.clone(), permit.is_some(), attempt.otp.is_some());
        let _turn = self.limiter().turn(&login).await?;
        let checked = self.check(attempt, origin.now).await?;
        // A new password is work only for whoever has shown the old one, or the time would tell who has a login.
        let hash = if checked.password_is_right() {
            self.fit_new_password(&login, new).await
        } else {
            Err(LoginRefusal::Failed.into())
        };
        let actor = permit.map_or(Actor::Stranger, Permit::actor);
        let changed = self.change(actor, origin, move |mut write| {
            let door = match actor {
                Actor::Token { token, .. } if !has_code => {
                    let token = row::find::<token::Row>(write.db(), write.keys(), token)?;
                    Door::Sudo { token_made_with_factor: token.second_factor }
                }
                _ => Door::Token,
            };
            match login::judge(&mut write, &checked, door)? {
                Judged::CodeRequired => Err(LoginRefusal::CodeRequired.into()),
                Judged::Refused(row, event, refusal) => refuse(write, row.map(|row| *row), &event, refusal),
                Judged::Proved(row, _) if has_permit && Some(row.id) != asking => {
                    Err(LoginRefusal::Failed.into())
                }
                Judged::Proved(mut row, _) => {
                    row.password = hash?;
                    row.must_change = false;
                    row.forget_reset();
                    if has_permit {
                        write.act_as(actor);
                    }
                    row.touch(&write, 0);
                    row.save(&mut write)?;
                    let event = Event::UserPasswordUpdate { user: row.id };
                    write.commit(&event, Ok(*row))
                }
            }
        });
        let changed = changed.await;
        self.settle(&login, &changed);
        changed?.map_err(Fault::from)
    }

    /// Makes a link that sets a new password for whoever has this login. None where nobody has: the answer to a stranger
    /// must not tell.
    ///
    /// # Errors
    /// [`LoginRefusal::TooMany`]; storage faults.
    pub async fn request_reset(
        &self,
        permit: Option<&Permit>,
        origin: &Origin,
        login: Login,
        code: LinkCode,
    ) -> Result<Option<Reset>, Fault> {
        permit.map_or(Ok(()), |permit| permit.proves(Action::PASSWORD_RESET))?;
        if permit.is_none() {
            self.limiter().admit_stranger(origin.now)?;
        }
        self.limiter().admit(&login, origin.now)?;
        let permit = permit.copied();
        let actor = permit.map_or(Actor::Stranger, |permit| permit.actor());
        self.change(actor, origin, move |mut write| {
            let person = find_by_login(write.db(), write.keys(), &login)?;
            let active = person.filter(|row| row.state == UserState::Active);
            let Some(mut row) = active else {
                // In the log of who asks it would tell that nobody has this login elsewhere either.
                write.act_as(Actor::Stranger);
                login::save_anybody(&mut write)?;
                return write.commit(&Event::UserPasswordReset { user: None }, None);
            };
            // Who asks from within the house is told of as who they are.
            if permit.is_none_or(|permit| permit.customer() != row.customer) {
                write.act_as(Actor::Person { user: row.id, customer: row.customer });
            }
            let until = write.origin().now.after(RESET);
            row.reset = code.digest().bytes().to_vec();
            row.reset_until = until;
            row.touch(&write, 0);
            row.save(&mut write)?;
            let event = Event::UserPasswordReset { user: Some(row.id) };
            write.commit(&event, Some(Reset { login, code, until }))
        })
        .await
    }

    /// Sets a password by a link. It serves once, and changes nothing else: a second factor stays.
    ///
    /// # Errors
    /// `link_invalid` for a code that is wrong, used or too old; `password_*`; storage faults.
    pub async fn reset_password(&self, origin: &Origin, code: &str, new: NewPassword) -> Result<(), Fault> {
        let digest = Digest::of(code.as_bytes());
        let person = self.read(move |db, keys| find_by_reset(db, keys, digest)).await?;
        let person = person.ok_or_else(link_invalid)?;
        let password = self.fit_password(person.customer, &person.login, &person.name, Some(new)).await?;
        self.change(Actor::Stranger, origin, move |mut write| {
            let row = find_by_reset(write.db(), write.keys(), digest)?;
            let serves = |row: &Row| write.origin().now < row.reset_until && row.state == UserState::Active;
            let mut row = row.filter(serves).ok_or_else(link_invalid)?;
            write.act_as(Actor::Person { user: row.id, customer: row.customer });
            row.password = password;
            row.must_change = false;
            row.forget_reset();
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&Event::UserPasswordUpdate { user: row.id }, ())
        })
        .await
    }

    /// Hashes a new password that is fit for whoever has this login.
    async fn fit_new_password(&self, login: &Login, new: NewPassword) -> Result<PasswordHash, Fault> {
        let person = self.user_by_login(login).await?;
        self.fit_password(person.customer, login, &person.name, Some(new)).await
    }
}

impl Row {
    pub(super) fn forget_reset(&mut self) {
        self.reset = Vec::new();
        self.reset_until = Timestamp::from_micros(0);
    }
}

fn link_invalid() -> Fault {
    Fault::invalid(
        "link_invalid",
        "This link was used, is too old, or was not copied whole; ask for a new one",
    )
}

fn find_by_reset(db: &Connection, keys: &crate::keys::Keys, digest: Digest) -> Result<Option<Row>, Fault> {
    let mut select = db.prepare_cached("SELECT id FROM users WHERE reset = $1")?;
    let mut rows = select.query([digest.bytes()])?;
    let Some(found) = rows.next()? else { return Ok(None) };
    let row = row::find::<Row>(db, keys, keygate_model::UserId::from_bytes(found.get(0)?))?;
    let customer = row::find::<customer::Row>(db, keys, row.customer)?;
    let active = customer.state == keygate_model::customer::CustomerState::Active;
    // The index is not sealed, the row is.
    Ok(Some(row).filter(|row| active && row.reset == digest.bytes()))
}

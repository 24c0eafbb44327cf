//! Sudo: five minutes on the token that asked, by password.

use std::time::Duration;

use keygate_model::{Action, Actor, Event, Permit, Timestamp};

use super::{Row, create::refuse};
use crate::{
    authority::Authority,
    fault::{Fault, LoginRefusal},
    login::{self, Attempt, Door, Judged},
    origin::Origin,
    password::Password,
    row,
};

/// How long sudo lasts (CONTRACT §9).
const SUDO: Duration = Duration::from_secs(5 * 60);

impl Authority {
    /// Starts sudo on the token that asks, and says until when it lasts. The login, where one is sent, must be that of
    /// the person behind the token. A person with a second factor needs a token that was itself made with a code:
    /// Fastly's clients have nowhere to send one here.
    ///
    /// # Errors
    /// [`Fault::Login`], counted like any other failure; storage faults.
    pub async fn start_sudo(
        &self,
        permit: &Permit,
        origin: &Origin,
        login: Option<&str>,
        password: Password,
    ) -> Result<Timestamp, Fault> {
        permit.proves(Action::SUDO_START)?;
        let Actor::Token { token, customer, user: Some(user) } = permit.actor() else {
            return Err(LoginRefusal::Failed.into());
        };
        let person = self.user(customer, user).await?;
        let own = person.login.clone();
        if login.is_some_and(|login| keygate_model::user::Login::parse(login).as_ref() != Ok(&own)) {
            return Err(LoginRefusal::Failed.into());
        }
        let _turn = self.limiter().turn(&own).await?;
        let checked = self.check(Attempt { login: own.clone(), password, otp: None }, origin.now).await?;
        let started = self.change(permit.actor(), origin, move |mut write| {
            let mut row = row::find::<Row>(write.db(), write.keys(), token)?;
            if row.revoked_at.is_some() {
                return Err(Fault::missing(token));
            }
            let door = Door::Sudo { token_made_with_factor: row.second_factor };
            let judged = login::judge(&mut write, &checked, door)?;
            write.act_as(Actor::Token { token, customer, user: Some(user) });
            match judged {
                Judged::CodeRequired => Err(LoginRefusal::CodeRequired.into()),
                Judged::Refused(person, event, refusal) => {
                    refuse(write, person.map(|row| *row), &event, refusal)
                }
                Judged::Proved(..) => {
                    let until = write.origin().now.after(SUDO);
                    row.sudo_until = Some(until);
                    row.touch(&write, 0);
                    row.save(&mut write)?;
                    write.commit(&Event::UserSudo { user, token }, Ok(until))
                }
            }
        });
        let started = started.await;
        self.settle(&own, &started);
        started?.map_err(Fault::from)
    }
}

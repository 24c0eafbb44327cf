//! Setting up a person's second factor.

use keygate_model::{
    Action, Event, Permit, UserId,
    otp::{MalformedOtp, Otp},
};

use super::{
    acting_user, find_in,
    update::{find_living, is_not_last},
};
use crate::{
    authority::Authority,
    customer,
    factor::{Enrolment, FactorEntropy, FactorState},
    fault::Fault,
    origin::Origin,
    row,
    write::Write,
};

impl Authority {
    /// Gives a person a new second factor. `state` says whether it is in force at once, which only the operator may
    /// choose, or waits for its first code.
    ///
    /// # Errors
    /// [`Fault::Missing`]; storage faults.
    pub async fn enrol_factor(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        entropy: FactorEntropy,
        state: FactorState,
    ) -> Result<Enrolment, Fault> {
        may_enrol(permit, user, state)?;
        let (permit, customer) = (*permit, permit.customer());
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_living(&write, &permit, user)?;
            if state == FactorState::Waiting && row.has_factor() {
                let why = "A second factor is in force; a new one may not wait in its place";
                return Err(Fault::invalid("factor_in_force", why));
            }
            let login = row.login.to_string();
            let shown = row.factor.enrol(write.keys(), (customer, user), &login, &entropy, state);
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&Event::TwoFactorEnable { user, confirmed: state == FactorState::On }, shown)
        })
        .await
    }

    /// Puts a waiting second factor in force, by a code of it. The code is used up.
    ///
    /// # Errors
    /// [`Fault::Login`] for a wrong code, which is counted; [`Fault::Missing`] if nothing waits.
    pub async fn confirm_factor(
        &self,
        permit: &Permit,
        origin: &Origin,
        user: UserId,
        code: &[u8],
    ) -> Result<(), Fault> {
        may_enrol(permit, user, FactorState::Waiting)?;
        let customer = permit.customer();
        // A recovery code would prove nothing of the authenticator.
        let code = match Otp::parse(code) {
            Ok(Otp::Recovery(_)) => Err(MalformedOtp),
            code => code,
        };
        let judged = self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_in(write.db(), write.keys(), customer, user)?;
            if row.factor.state != FactorState::Waiting {
                return Err(Fault::missing(user));
            }
            let now = write.origin().now;
            let judged = row.factor.judge(write.keys(), (customer, user), Some(&code), now);
            let event = match &judged {
                Ok(_) => {
                    row.factor.state = FactorState::On;
                    Event::TwoFactorEnable { user, confirmed: true }
                }
                Err((why, _)) => Event::UserLoginFailure { user: Some(user), why: *why, login_tag: None },
            };
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&event, judged.map(drop).map_err(|(_, refusal)| refusal))
        });
        judged.await?.map_err(Fault::from)
    }

    /// Takes a person's second factor away: their own, in sudo, or anybody's by the operator.
    ///
    /// # Errors
    /// `two_factor_forced` where the customer wants one of everybody, `last_superuser`; [`Fault::Missing`] if there is
    /// none; storage faults.
    pub async fn disable_factor(&self, permit: &Permit, origin: &Origin, user: UserId) -> Result<(), Fault> {
        permit.proves(Action::FACTOR_DISABLE)?;
        let own = acting_user(permit) == Some(user);
        if !own && permit.is_the_operators().is_err() {
            return Err(Fault::missing(user));
        }
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_in(write.db(), write.keys(), customer, user)?;
            if row.factor.state == FactorState::Off {
                return Err(Fault::missing(user));
            }
            if own {
                may_do_without(&write, &row)?;
            }
            row.factor = row.factor.without();
            row.touch(&write, 0);
            row.save(&mut write)?;
            write.commit(&Event::TwoFactorDisable { user }, ())
        })
        .await
    }
}

/// Whoever sets up a factor sets up their own, which waits for its first code; the operator, anybody's.
fn may_enrol(permit: &Permit, user: UserId, state: FactorState) -> Result<(), Fault> {
    permit.proves(Action::FACTOR_ENROL)?;
    let own = acting_user(permit) == Some(user) && state == FactorState::Waiting;
    if own || permit.is_the_operators().is_ok() { Ok(()) } else { Err(Fault::missing(user)) }
}

/// Refuses to take a factor from somebody who must have one.
fn may_do_without(write: &Write<'_>, row: &super::Row) -> Result<(), Fault> {
    let customer = row::find::<customer::Row>(write.db(), write.keys(), row.customer)?;
    if customer.settings.force_2fa {
        let why = "Your account wants a second factor of everybody; set up a new one in its place";
        return Err(Fault::refused("two_factor_forced", why));
    }
    if row.role == keygate_model::policy::SUPERUSER { is_not_last(write, row) } else { Ok(()) }
}

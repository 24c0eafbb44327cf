//! Setting up a person's second factor.

use keygate_model::{
    Event, Permit, UserId,
    otp::{MalformedOtp, Otp},
};

use super::find_in;
use crate::{
    authority::Authority,
    factor::{Enrolment, FactorEntropy, FactorState},
    fault::Fault,
    origin::Origin,
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
        permit.is_the_operators()?;
        let customer = permit.customer();
        self.change(permit.actor(), origin, move |mut write| {
            let mut row = find_in(write.db(), write.keys(), customer, user)?;
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
        permit.is_the_operators()?;
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
}

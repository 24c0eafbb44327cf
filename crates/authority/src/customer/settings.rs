//! What a customer rules for its people and tokens.

use keygate_model::{Action, Expiry, Networks, Timestamp, customer::Rules};
use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// Seconds in a day.
const DAY: i64 = 24 * 3600;

/// How long a token lives that must have an end and was given none, in days.
const LIFE_DAYS: u32 = 365;

/// The settings of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where tokens may be used from: the contract's `ip_whitelist`.
    pub ip_whitelist: Networks,
    /// Whether people must have a second factor.
    pub force_2fa: bool,
    /// The longest life of a new token that has an end, in days. None: what Keygate itself allows.
    pub token_lifetime_max_days: Option<u32>,
    /// Whether tokens may be made that never end.
    pub never_expiring_tokens: bool,
    /// Who may make automation tokens.
    pub automation_token_makers: Makers,
}

/// Who may make automation tokens. Scope and role must allow it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Makers {
    /// Nobody.
    Nobody,
    /// People in sudo, and no token by itself.
    Superusers,
    /// People in sudo, and automation tokens that were given the right.
    SuperusersAndTokens,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ip_whitelist: Networks::Anywhere,
            force_2fa: false,
            token_lifetime_max_days: None,
            never_expiring_tokens: true,
            automation_token_makers: Makers::SuperusersAndTokens,
        }
    }
}

impl Settings {
    /// What gates need to know of them.
    pub(crate) fn rules(&self) -> Rules {
        let forbids: &[Action] = match self.automation_token_makers {
            Makers::Nobody => &[Action::AUTOMATION_TOKEN_CREATE, Action::AUTOMATION_TOKEN_MINT],
            Makers::Superusers => &[Action::AUTOMATION_TOKEN_MINT],
            Makers::SuperusersAndTokens => &[],
        };
        Rules { networks: self.ip_whitelist.clone(), forbids: forbids.to_vec(), force_factor: self.force_2fa }
    }

    /// The end of a token that is made now: what is wanted if it may be, the longest there may be if nothing is.
    ///
    /// # Errors
    /// `expiry_invalid` names the limit.
    pub(crate) fn expiry(&self, wanted: Option<Timestamp>, now: Timestamp) -> Result<Expiry, Fault> {
        let in_days = |days: u32| Timestamp::from_seconds(now.seconds() + i64::from(days) * DAY);
        match (wanted, self.token_lifetime_max_days) {
            (None, None) if self.never_expiring_tokens => Ok(Expiry::Never),
            (None, most) => Ok(Expiry::At(in_days(most.unwrap_or(LIFE_DAYS)))),
            (Some(at), Some(most)) if at > in_days(most) => {
                let why =
                    format!("expires_at is more than {most} days ahead, the most that your account allows");
                Err(Fault::invalid("expiry_invalid", why))
            }
            (Some(at), _) => Ok(Expiry::At(at)),
        }
    }
}

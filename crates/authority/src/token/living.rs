//! How many tokens are alive, for limits.

use keygate_model::{CustomerId, UserId};

use super::NEVER;
use crate::{db::params, fault::Fault, mass_revoke, write::Write};

/// How many living tokens a person has: revoked and expired ones do not count (CONTRACT §1).
pub(crate) fn living_of(write: &Write<'_>, user: UserId) -> Result<i64, Fault> {
    let mut select = write.db().prepare_cached(&format!(
        "SELECT count(*) FROM tokens t WHERE user_id = $1 AND revoked_at = $2 AND expires_at > $3 AND {}",
        mass_revoke::spares("t")
    ))?;
    let living = params![user.to_bytes(), NEVER, write.origin().now.micros()];
    Ok(select.query_row(living, |row| row.get(0))?)
}

/// How many living automation tokens a customer has.
pub(super) fn living_automation(write: &Write<'_>, customer: CustomerId) -> Result<i64, Fault> {
    let mut select = write.db().prepare_cached(&format!(
        "SELECT count(*) FROM tokens t WHERE customer_id = $1 AND user_id IS NULL AND revoked_at = $2
         AND expires_at > $3 AND {}",
        mass_revoke::spares("t")
    ))?;
    let living = params![customer.to_bytes(), NEVER, write.origin().now.micros()];
    Ok(select.query_row(living, |row| row.get(0))?)
}

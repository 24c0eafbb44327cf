//! How many tokens are alive, for limits.

use keygate_model::{CustomerId, UserId};

use super::NEVER;
use crate::{db::params, fault::Fault, mass_revoke, write::Write};

/// How many living tokens a person has: revoked and expired ones do not count (CONTRACT §1).
pub(crate) fn living_of(write: &Write<'_>, user: UserId) -> Result<i64, Fault> {
    living(write, OF_PERSON, user.to_bytes())
}

/// How many living automation tokens a customer has.
pub(super) fn living_automation(write: &Write<'_>, customer: CustomerId) -> Result<i64, Fault> {
    living(write, OF_MACHINES, customer.to_bytes())
}

const OF_PERSON: &str = "user_id = $1";
const OF_MACHINES: &str = "customer_id = $1 AND user_id IS NULL";

fn living(write: &Write<'_>, whose: &str, id: [u8; 16]) -> Result<i64, Fault> {
    let mut select = write.db().prepare_cached(&counts(whose))?;
    let living = params![id, NEVER, write.origin().now.micros()];
    Ok(select.query_row(living, |row| row.get(0))?)
}

fn counts(whose: &str) -> String {
    let spares = mass_revoke::spares("t");
    format!(
        "SELECT count(*) FROM tokens t WHERE {whose} AND revoked_at = $2 AND expires_at > $3 AND {spares}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{self, Connection, Db, NONE, Sync};

    /// An automation token took 0.7 s to make where the customer's people had a million.
    #[test]
    fn the_living_are_counted_without_a_look_at_others() {
        let folder = std::env::temp_dir().join(format!("keygate-living-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let db = db::open_writer(&Db::from(&folder.join("keygate.db")), Sync::Full).unwrap();
        assert!(matches!(db, Connection::Sqlite(_)));
        let plan = |whose: &str| {
            let sql = format!("EXPLAIN QUERY PLAN {}", counts(whose));
            let sql = sql.replace("$1", "x'00'").replace("$2", "1").replace("$3", "1");
            let mut explain = db.prepare_cached(&sql).unwrap();
            let mut rows = explain.query(NONE).unwrap();
            rows.next().unwrap().unwrap().get::<String>(3).unwrap()
        };
        let by = |index: &str, whose: &str| format!("{index} ({whose}=? AND revoked_at=? AND expires_at>?)");
        assert!(plan(OF_PERSON).ends_with(&by("tokens_by_user", "user_id")), "{}", plan(OF_PERSON));
        let machines = plan(OF_MACHINES);
        assert!(machines.ends_with(&by("tokens_of_machines", "customer_id")), "{machines}");
        drop(db);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

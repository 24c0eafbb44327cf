//! How many tokens are alive, for limits.

use keygate_model::{CustomerId, UserId};

use super::NEVER;
use crate::{db::params, fault::Fault, mass_revoke, write::Write};

/// How many living tokens a person has: revoked and expired ones do not count (CONTRACT §1).
pub(crate) fn living_of(write: &Write<'_>, user: UserId) -> Result<i64, Fault> {
    living(write, "user_id = $1", user.to_bytes())
}

/// How many living automation tokens a customer has.
pub(super) fn living_automation(write: &Write<'_>, customer: CustomerId) -> Result<i64, Fault> {
    living(write, "customer_id = $1 AND user_id IS NULL", customer.to_bytes())
}

fn living(write: &Write<'_>, whose: &str, id: [u8; 16]) -> Result<i64, Fault> {
    let [never, now] = values(write);
    let mut select = write.db().prepare_cached(&counts(whose, ["$2", "$3"], write.all_noted()))?;
    Ok(select.query_row(params![id, never, now], |row| row.get(0))?)
}

/// Whose living tokens are counted with whoever asks for one more: a part of [`crate::row::find_three`], of a token, a
/// person and a customer.
#[derive(Clone, Copy)]
pub(super) enum Whose {
    /// The person's.
    Person,
    /// The automation tokens of the customer.
    Machines,
}

impl Whose {
    /// The statement. Where all mass revokes are noted, rows say themselves whether a token is alive.
    pub(super) fn counted(self, all_noted: bool) -> String {
        let whose = match self {
            Self::Person => "user_id = $2",
            Self::Machines => "customer_id = $3 AND user_id IS NULL",
        };
        counts(whose, ["$4", "$5"], all_noted)
    }
}

/// What the statement takes beside whose they are.
pub(super) fn values(write: &Write<'_>) -> [i64; 2] {
    [NEVER, write.origin().now.micros()]
}

fn counts(whose: &str, [never, now]: [&str; 2], all_noted: bool) -> String {
    let spares = if all_noted { "TRUE".to_owned() } else { mass_revoke::spares("t") };
    format!(
        "SELECT count(*) AS number FROM tokens t WHERE {whose} AND revoked_at = {never} AND expires_at > {now} AND {spares}"
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
        let plan = |whose: Whose| {
            let sql = format!("EXPLAIN QUERY PLAN {}", whose.counted(false));
            let sql = ["$2", "$3"].iter().fold(sql, |sql, id| sql.replace(id, "x'00'"));
            let sql = ["$4", "$5"].iter().fold(sql, |sql, time| sql.replace(time, "1"));
            let mut explain = db.prepare_cached(&sql).unwrap();
            let mut rows = explain.query(NONE).unwrap();
            rows.next().unwrap().unwrap().get::<String>(3).unwrap()
        };
        let by = |index: &str, whose: &str| format!("{index} ({whose}=? AND revoked_at=? AND expires_at>?)");
        assert!(plan(Whose::Person).ends_with(&by("tokens_by_user", "user_id")), "{}", plan(Whose::Person));
        let machines = plan(Whose::Machines);
        assert!(machines.ends_with(&by("tokens_of_machines", "customer_id")), "{machines}");
        drop(db);
        std::fs::remove_dir_all(folder).unwrap();
    }
}

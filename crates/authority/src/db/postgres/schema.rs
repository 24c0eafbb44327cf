//! The schema on a server: who makes it, who may use it, and which settings of the server would break promises.

use super::{Address, Connection};
use crate::{
    db::{Error, MIGRATIONS, missing, off_the_runtime},
    fault::Fault,
};

/// A role of the database server, checked: it stands in statements as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role(String);

impl Role {
    /// Letters, digits and underscores, not beginning with a digit, 63 at most.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(name: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        if begins && name.len() <= 63 && name.bytes().all(fits) {
            Ok(Self(name.to_owned()))
        } else {
            Err(format!("{name:?} is no role: lower-case letters, digits and _ are, at most 63 of them"))
        }
    }
}

/// The schema of a server, for whoever owns it.
pub struct Schema<'c> {
    db: &'c Connection,
}

impl Schema<'_> {
    /// Opens it, and lets `work` do something with it.
    ///
    /// # Errors
    /// Storage faults, and what `work` says.
    pub fn open<T: Send>(
        address: &Address,
        work: impl FnOnce(Schema<'_>) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        off_the_runtime(|| work(Schema { db: &Connection::open(address)? }))
    }

    /// Brings it up to date, and tells how many migrations were made. All of them or none.
    ///
    /// # Errors
    /// `db_too_new`; storage faults.
    pub fn migrate(&self) -> Result<usize, Fault> {
        self.db.run("BEGIN")?;
        let made = self.make_all();
        self.db.run(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        made
    }

    fn make_all(&self) -> Result<usize, Fault> {
        self.db.run(
            "CREATE TABLE IF NOT EXISTS schema_version (one INT PRIMARY KEY CHECK (one = 1), version BIGINT NOT NULL);
             INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING;
             SELECT version FROM schema_version FOR UPDATE",
        )?;
        let missing = missing(version(self.db)?)?;
        for migration in missing {
            self.db.run(&dialect(migration))?;
        }
        self.db.run(&format!("UPDATE schema_version SET version = {}", MIGRATIONS.len()))?;
        Ok(missing.len())
    }

    /// Lets a role serve: it reads and writes the record, but takes nothing out of the log of events, changes nothing in
    /// it, and makes no tables.
    ///
    /// # Errors
    /// Storage faults.
    pub fn grant_serving(&self, Role(role): &Role) -> Result<(), Fault> {
        self.db.run(&format!(
            "GRANT USAGE ON SCHEMA public TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
             GRANT INSERT, UPDATE ON head, customers, users, invitations, services, tokens, mass_revokes, marks, policies, gates TO {role};
             GRANT UPDATE ON turn TO {role};
             GRANT INSERT ON events TO {role};
             GRANT INSERT, DELETE ON authorizations, domains TO {role};
             GRANT INSERT, DELETE ON idempotency TO {role};
             GRANT DELETE ON gates TO {role}"
        ))?;
        Ok(())
    }

    /// Lets a role look at the log of events, and at nothing else.
    ///
    /// # Errors
    /// Storage faults.
    pub fn grant_auditing(&self, Role(role): &Role) -> Result<(), Fault> {
        self.db.run(&format!(
            "GRANT USAGE ON SCHEMA public TO {role}; GRANT SELECT ON events, head, schema_version TO {role}"
        ))?;
        Ok(())
    }
}

/// A migration in PostgreSQL's words: SQLite's strict tables have one name for every integer, and so may compare text
/// byte by byte.
fn dialect(migration: &str) -> String {
    let words = [
        (") STRICT, WITHOUT ROWID;", ");"),
        (") STRICT;", ");"),
        (" INTEGER", " BIGINT"),
        (" BLOB", " BYTEA"),
        (" TEXT", " TEXT COLLATE \"C\""),
    ];
    words.iter().fold(migration.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn version(db: &Connection) -> Result<usize, Error> {
    let statement = db.prepare("SELECT version FROM schema_version")?;
    let mut rows = db.query(&statement, &[])?;
    let version: i64 = rows.next()?.map(|row| row.try_get(0)).transpose()?.unwrap_or_default();
    usize::try_from(version).map_err(|_| Error::Unreadable)
}

/// Refuses a database that lacks a migration, or has more than this version knows.
pub(super) fn is_current(db: &Connection) -> Result<(), Fault> {
    let there = db.prepare("SELECT to_regclass('schema_version') IS NOT NULL")?;
    let there: bool = db.query(&there, &[])?.next()?.is_some_and(|row| row.try_get(0).unwrap_or(false));
    let lacks = if there { missing(version(db)?)?.len() } else { MIGRATIONS.len() };
    if lacks == 0 {
        return Ok(());
    }
    let why = format!(
        "{lacks} of {} migrations are missing in this database: run `keygate migrate --db …` as the owner of its schema",
        MIGRATIONS.len()
    );
    Err(Fault::invalid("db_not_migrated", why))
}

/// Refuses settings under which an acknowledged change could be lost, or under which this role could undo the log (K24).
pub(super) fn is_safe(db: &Connection, address: &Address) -> Result<(), Fault> {
    let settings = db.prepare(
        "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),
         current_setting('synchronous_standby_names'), rolsuper FROM pg_roles WHERE rolname = current_user",
    )?;
    let mut rows = db.query(&settings, &[])?;
    let row = rows.next()?.ok_or(Error::Unreadable)?;
    let (fsync, full_pages, commit, standbys): (String, String, String, String) = (
        row.try_get(0).map_err(Error::from)?,
        row.try_get(1).map_err(Error::from)?,
        row.try_get(2).map_err(Error::from)?,
        row.try_get(3).map_err(Error::from)?,
    );
    let is_superuser: bool = row.try_get(4).map_err(Error::from)?;
    let wrong = if fsync != "on" {
        Some(
            "the server has fsync=off, and loses what it has acknowledged when its machine stops: set fsync=on",
        )
    } else if full_pages != "on" {
        Some("the server has full_page_writes=off, and may not recover from a crash: set full_page_writes=on")
    } else if commit != "on" && commit != "remote_apply" {
        Some("the server does not let this role set synchronous_commit=on")
    } else if is_superuser {
        Some(
            "this role is a superuser of the server, and could undo the log of events: make one with `keygate migrate \
             --serve-role NAME`, and name that in the address",
        )
    } else if address.wants_standby() && standbys.is_empty() {
        Some(
            "the address names several hosts and the server has no synchronous_standby_names: a fail-over would lose what was \
             acknowledged. Set it, for example to 'ANY 1 (*)'",
        )
    } else {
        None
    };
    wrong.map_or(Ok(()), |why| Err(Fault::invalid("db_unsafe", why)))
}

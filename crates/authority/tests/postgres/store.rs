//! Where the houses of this suite keep their record: PostgreSQL, a database each, on the server that `./dev test` starts.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use keygate_authority::db::{Address, Db, Role, Schema};
use postgres::{Client, NoTls};

/// Who serves: not a superuser, and not the owner of the tables.
pub(crate) const SERVING: &str = "keygate_test";

/// Who may look at the log.
pub(crate) const AUDITING: &str = "keygate_test_audit";

pub(crate) struct Store {
    name: String,
}

/// The server's superuser, in a database.
pub(crate) fn superuser(database: &str) -> Client {
    Client::connect(&address("postgres", database), NoTls).expect("the server")
}

pub(crate) fn address(user: &str, database: &str) -> String {
    let place = std::env::var("KEYGATE_TEST_POSTGRES")
        .expect("KEYGATE_TEST_POSTGRES is not set: ./dev test starts a server and sets it");
    format!("postgres://{user}@{place}/{database}")
}

impl Store {
    pub(crate) fn new(_: &Path) -> Self {
        static STORES: AtomicU64 = AtomicU64::new(0);
        let name = format!("contract_{}_{}", std::process::id(), STORES.fetch_add(1, Ordering::Relaxed));
        let made = std::thread::spawn({
            let name = name.clone();
            move || make(&name)
        });
        made.join().expect("a database of its own");
        Self { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn db(&self) -> Db {
        address(SERVING, &self.name).parse().expect("an address")
    }
}

fn make(name: &str) {
    let mut server = superuser("postgres");
    for role in [SERVING, AUDITING] {
        // Another test may be making it at this moment.
        drop(server.batch_execute(&format!("CREATE ROLE {role} LOGIN")));
    }
    server.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database of its own");
    let address = Address::parse(&address("postgres", name)).expect("an address");
    let made = Schema::open(&address, |schema| {
        schema.migrate()?;
        schema.grant_serving(&Role::parse(SERVING).expect("a role"))?;
        schema.grant_auditing(&Role::parse(AUDITING).expect("a role"))
    });
    made.expect("a schema");
}

impl Drop for Store {
    fn drop(&mut self) {
        let name = std::mem::take(&mut self.name);
        let dropped = std::thread::spawn(move || {
            superuser("postgres").batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)"))
        });
        drop(dropped.join());
    }
}

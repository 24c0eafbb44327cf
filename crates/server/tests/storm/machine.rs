//! Machines with PostgreSQL on them, in a folder of the test's.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// The machines of one test. Dropped, they are stopped and removed.
pub(crate) struct Machines(PathBuf);

impl Machines {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short: the path of a Unix socket has its limit.
        let folder = PathBuf::from(format!("/tmp/kg-storm-{}-{count}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn of(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs the script, which must succeed: what it printed.
    pub(crate) fn run(&self, verb: &str, name: &str, further: &[&str]) -> String {
        let done = script().arg(verb).arg(self.of(name)).args(further).output().unwrap();
        assert!(done.status.success(), "{verb} {name}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Starts a machine's server, with the record's database and the role that serves it.
    pub(crate) fn begin(&self, name: &str, settings: &[&str]) {
        self.run("start", name, settings);
        self.run("sql", name, &["CREATE ROLE keygate LOGIN"]);
        self.run("sql", name, &["CREATE DATABASE keygate"]);
    }

    /// What a statement finds in the record, as its owner sees it: lines, with bars between columns.
    pub(crate) fn read(&self, name: &str, sql: &str) -> String {
        self.run("sql", name, &[sql, "keygate"])
    }

    /// Whose word a commit waits for from now on.
    pub(crate) fn waits_for(&self, name: &str, standbys: &str) {
        self.run("sql", name, &[&format!("ALTER SYSTEM SET synchronous_standby_names = '{standbys}'")]);
        self.run("sql", name, &["SELECT pg_reload_conf()"]);
    }

    /// Where the record is, as the role `user` reaches it.
    pub(crate) fn address(&self, user: &str, name: &str) -> String {
        let host = self.of(name).display().to_string().replace('/', "%2F");
        format!("postgres://{user}@{host}/keygate")
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in std::fs::read_dir(&self.0).unwrap().flatten() {
            // One that was killed is not there to be stopped.
            drop(script().arg("stop").arg(machine.path()).output());
        }
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/postgres/server"))
}

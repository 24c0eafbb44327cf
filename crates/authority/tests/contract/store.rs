//! Where the houses of this suite keep their record: SQLite, in a file.

use std::path::{Path, PathBuf};

use keygate_authority::db::Db;

pub(crate) struct Store(PathBuf);

impl Store {
    pub(crate) fn new(dir: &Path) -> Self {
        Self(dir.join("keygate.db"))
    }

    pub(crate) fn db(&self) -> Db {
        Db::from(&self.0)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

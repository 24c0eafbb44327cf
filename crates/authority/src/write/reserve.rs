//! Room on the disk that is kept for taking away: a file beside the database, given up when there is no other room, so that a
//! full disk keeps nobody from revoking. PostgreSQL's disk is its operator's business.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::Duration,
};

use keygate_model::Event;

use crate::db::Db;

/// As much as some thousand revokes take.
const LEN: usize = 4 * 1024 * 1024;

/// How often it is tried whether there is room again.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// The file.
pub(super) struct Reserve {
    path: PathBuf,
    /// Until it is taken again, nothing is written but what takes away.
    given_up: bool,
    next_try: Duration,
}

impl Reserve {
    /// Takes it. None where the database is no file.
    pub(super) fn beside(place: &Db) -> Option<Self> {
        let Db::Sqlite(db) = place else { return None };
        let mut path = db.as_os_str().to_owned();
        path.push(".reserve");
        let reserve = Self { path: path.into(), given_up: false, next_try: Duration::ZERO };
        if let Err(error) = reserve.take() {
            tracing::warn!(%error, "no room could be kept for revokes on a full disk");
        }
        Some(reserve)
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.given_up
    }

    /// There is no room: what was kept is room now.
    pub(super) fn give_up(&mut self) {
        if self.given_up {
            return;
        }
        self.given_up = true;
        let gone = fs::remove_file(&self.path);
        tracing::error!(kept = gone.is_ok(), "the disk is full: from now on nothing is written but revokes");
    }

    /// Takes it again, if there is room.
    pub(super) fn try_again(&mut self, now: Duration) {
        if !self.given_up || now < self.next_try {
            return;
        }
        self.next_try = now + TRY_EVERY;
        if self.take().is_ok() {
            self.given_up = false;
            tracing::warn!("there is room on the disk again");
        }
    }

    /// Written out: a file of that length alone takes no room.
    fn take(&self) -> io::Result<()> {
        if fs::metadata(&self.path).is_ok_and(|file| file.len() == LEN as u64) {
            return Ok(());
        }
        let file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path);
        let written = file.and_then(|mut file| file.write_all(&vec![0; LEN]).and_then(|()| file.sync_all()));
        if written.is_err() {
            // Half of it is of no use, and in the way.
            drop(fs::remove_file(&self.path));
        }
        written
    }
}

/// Whether somebody can do less after it than before.
pub(super) fn takes_away(event: &Event) -> bool {
    // What only notes in rows what a mass revoke has done can wait.
    matches!(
        event,
        Event::TokenDestroy { by: None, .. }
            | Event::MassRevoke { .. }
            | Event::UserLock { .. }
            | Event::UserDestroy { .. }
    )
}

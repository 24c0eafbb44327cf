//! The writer's thread: takes what waits, and settles it with one commit.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use keygate_model::{Actor, Position};
use tokio::sync::oneshot;

use super::{Answer, Desktop, Fate, Message, in_part, reserve::Reserve};
use crate::{
    chain::Head,
    db::{self, Connection, Db, Sync},
    epoch::{self, Memory},
    fault::Fault,
    feed::Feed,
    gates,
    keys::Keys,
    mass_revoke::note::{self, Noted},
    usage,
    vitals::Vitals,
};

/// How many waiting changes one transaction takes at most.
const BATCH_MAX: usize = 128;

/// How often the writer looks whether another process has changed the database: a file is asked for less than a server,
/// which other nodes write to all the time.
const LOOK_AROUND: Duration = Duration::from_millis(50);
const LOOK_AROUND_SHARED: Duration = Duration::from_millis(20);

/// How long to wait between two tries to find a server again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often it is remembered how far the record has come.
const REMEMBER: Duration = Duration::from_secs(1);

/// How long mass revokes wait to be noted while others' changes keep coming, and how long after something has failed.
const NOTE_LEAST: Duration = Duration::from_millis(250);
const NOTE_AGAIN: Duration = Duration::from_secs(60);

/// What the writer's thread works on.
pub(super) struct Desk {
    pub(super) db: Connection,
    pub(super) place: Db,
    pub(super) sync: Sync,
    /// Where it is remembered how far the record has come, and what was last and when.
    pub(super) memory: Memory,
    pub(super) remembered: Option<(Position, Duration)>,
    pub(super) keys: Arc<Keys>,
    pub(super) feed: Feed,
    /// Whether the feed could not be read when it was last tried: then it is read whether somebody else has written or not.
    pub(super) owes: bool,
    pub(super) vitals: Arc<Vitals>,
    /// How far the noting of a mass revoke has come, when it was gone on with last, and until when it is not.
    pub(super) noting: note::Cursor,
    pub(super) noted_at: Duration,
    pub(super) note_again: Duration,
    /// Until when a server that was lost is not looked for again, since the start.
    pub(super) look_again: Duration,
    /// What is kept for a full disk.
    pub(super) reserve: Option<Reserve>,
}

impl Desk {
    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        let look_around = if self.place.is_shared() { LOOK_AROUND_SHARED } else { LOOK_AROUND };
        loop {
            let idle = if self.has_to_note() { Duration::ZERO } else { look_around };
            match inbox.recv_timeout(idle) {
                Ok(first) => {
                    self.work(first, inbox);
                    self.remember(REMEMBER);
                    self.note_mass_revokes(inbox, NOTE_LEAST);
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.look_around();
                    self.remember(REMEMBER);
                    self.note_mass_revokes(inbox, Duration::ZERO);
                }
                Err(RecvTimeoutError::Disconnected) => return self.remember(Duration::ZERO),
            }
        }
    }

    /// Remembers how far the record has come, unless that was done so lately.
    fn remember(&mut self, unless_since: Duration) {
        let (now, Some(head)) = (self.vitals.now(), self.feed.told()) else { return };
        let is_news = self.remembered.is_none_or(|(position, _)| position != head.position);
        let is_time = self.remembered.is_none_or(|(_, at)| now >= at + unless_since);
        if !is_news || !is_time || self.db.is_lost() {
            return;
        }
        if let Err(fault) = epoch::remember(&self.db, &self.keys, &self.memory, &head)
            && self.remembered.is_none()
        {
            tracing::warn!(error = %fault, "this node would not notice if its record were set back");
        }
        self.remembered = Some((head.position, now));
    }

    fn has_to_note(&self) -> bool {
        self.feed.has_unnoted() && !self.db.is_lost() && self.vitals.now() >= self.note_again
    }

    /// Notes some more tokens of a mass revoke in their rows, if there are any and that was not done for so long.
    fn note_mass_revokes(&mut self, inbox: &Receiver<Message>, unless_since: Duration) {
        if !self.has_to_note() || self.vitals.now() < self.noted_at + unless_since {
            return;
        }
        let next = note::next(&self.db, &self.keys).inspect_err(|fault| {
            tracing::error!(error = ?fault, "a mass revoke cannot be noted; it holds all the same");
        });
        let Ok(Some((id, origin))) = next else {
            self.note_again = self.vitals.now() + NOTE_AGAIN;
            return;
        };
        let (tell, told) = oneshot::channel();
        let cursor = self.noting;
        let job = move |desk: Option<Desktop<'_>>| -> Answer {
            let (mut noted, mut reached) = (None, None);
            let some = |write: super::Write<'_>| note::some(write, id, cursor, &mut noted);
            let by = Actor::Operator { customer: None };
            let done = desk
                .ok_or(Fault::Unavailable)
                .and_then(|desk| in_part(desk, by, &origin, some, &mut reached));
            let noted = noted.filter(|_| matches!(done, Ok(()) | Err(Fault::AlreadyDone)));
            Box::new(move |fate| {
                tell.send(noted.filter(|_| fate == Fate::Done)).ok();
            })
        };
        self.work(Message::Change(Box::new(job)), inbox);
        self.noted_at = self.vitals.now();
        self.noting = match told.blocking_recv() {
            Ok(Some(Noted::Some(cursor))) => cursor,
            Ok(Some(Noted::All)) => note::Cursor::default(),
            _ => {
                self.note_again = self.vitals.now() + NOTE_AGAIN;
                note::Cursor::default()
            }
        };
    }

    /// Takes `first` and whatever else waits, and settles it all with one commit.
    fn work(&mut self, first: Message, inbox: &Receiver<Message>) {
        let mut answers: Vec<Answer> = Vec::new();
        self.find_again();
        let now = self.vitals.now();
        if let Some(reserve) = &mut self.reserve {
            reserve.try_again(now);
        }
        let fate = match self.fill(&mut answers, first, inbox) {
            Ok(()) => self.settle(),
            Err(fault) => {
                tracing::error!(error = ?fault, waiting = answers.len(), "a transaction failed: nothing of it was done");
                self.vitals.store_failed();
                self.roll_back();
                if let Fault::Storage(error) = &fault {
                    self.note_room(error);
                }
                // Whoever keeps us from writing may have written, and a gate hears of that whether we can write or not.
                self.look_around();
                Fate::NotDone
            }
        };
        for answer in answers {
            answer(fate);
        }
    }

    /// Begins a transaction and runs the waiting jobs in it.
    fn fill(
        &self,
        answers: &mut Vec<Answer>,
        first: Message,
        inbox: &Receiver<Message>,
    ) -> Result<(), Fault> {
        let begun = self.db.begin().map_err(Fault::from);
        let mut head = match begun.and_then(|()| Head::read(&self.db, &self.keys)) {
            Ok(head) => head,
            Err(fault) => {
                // Whoever waits behind it has waited as long: each gets an answer now, none a turn of its own to wait.
                let waiting = std::iter::once(first).chain(inbox.try_iter());
                answers.extend(waiting.map(|message| self.run_one(message, None)));
                return Err(fault);
            }
        };
        let before = head;
        let mut next = Some(first);
        while let Some(message) = next {
            answers.push(self.run_one(message, Some(&mut head)));
            if !self.db.is_busy() {
                // A full disk makes SQLite undo the whole transaction, and a server may be gone: what follows would stand
                // outside of any.
                return Err(Fault::Unavailable);
            }
            next = if answers.len() < BATCH_MAX { inbox.try_recv().ok() } else { None };
        }
        if head == before { Ok(()) } else { head.save(&self.db, &self.keys) }
    }

    fn run_one(&self, message: Message, head: Option<&mut Head>) -> Answer {
        match message {
            Message::Change(job) => {
                let short = self.is_short();
                job(head.map(|head| Desktop { db: &self.db, keys: &self.keys, head, short }))
            }
            Message::Marks(marks, reply) => self.note(head.as_deref(), reply, |db| usage::write(db, &marks)),
            Message::Forgotten(ended, reply) => {
                self.note(head.as_deref(), reply, |db| gates::forget(db, &ended))
            }
            Message::Beats(beats, reply) => {
                let position = head.as_deref().map_or(Position(0), |head| head.position);
                self.note(head.as_deref(), reply, |db| gates::write(db, &beats).map(|()| position))
            }
        }
    }

    /// Commits, and carries the change to the gates before anybody is told of it.
    fn settle(&mut self) -> Fate {
        if let Err(error) = self.db.commit() {
            let fate = if error.is_undone() { Fate::NotDone } else { Fate::Unknown };
            tracing::error!(%error, ?fate, "a commit failed");
            self.vitals.store_failed();
            self.roll_back();
            self.note_room(&error);
            return fate;
        }
        self.owes = true;
        match self.read_feed() {
            Ok(()) => Fate::Done,
            Err(fault) => {
                tracing::error!(error = ?fault, "committed, but the feed could not be read: gates do not know yet");
                Fate::Unknown
            }
        }
    }

    fn note_room(&mut self, error: &db::Error) {
        if let Some(reserve) = &mut self.reserve
            && error.is_full()
        {
            reserve.give_up();
        }
    }

    fn is_short(&self) -> bool {
        self.reserve.as_ref().is_some_and(Reserve::is_given_up)
    }

    fn roll_back(&self) {
        if self.db.is_busy()
            && let Err(error) = self.db.roll_back()
        {
            tracing::error!(%error, "a transaction could not be rolled back");
        }
    }

    /// Writes what is no change, so that a failure leaves the changes of the transaction as they are. Nobody is told that it is
    /// done before it is committed.
    fn note<T: Send + 'static>(
        &self,
        head: Option<&Head>,
        reply: oneshot::Sender<Result<T, Fault>>,
        write: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Answer {
        let written = head.filter(|_| !self.is_short()).ok_or(Fault::Unavailable).and_then(|_| {
            self.db.begin_part()?;
            let written = write(&self.db);
            self.db.end_part(written.is_ok())?;
            written
        });
        Box::new(move |fate| {
            let done = if fate == Fate::Done { written } else { written.and(Err(Fault::Unavailable)) };
            drop(reply.send(done));
        })
    }

    /// Connects again where the server was lost.
    fn find_again(&mut self) {
        let now = self.vitals.now();
        if !self.db.is_lost() || now < self.look_again {
            return;
        }
        self.look_again = now + LOOK_AGAIN;
        match db::open_writer(&self.place, self.sync) {
            Ok(found) => {
                tracing::warn!("connected to the database again");
                (self.db, self.owes) = (found, true);
            }
            Err(fault) => {
                tracing::error!(error = %fault, "the database cannot be reached: changes are refused until it can");
            }
        }
    }

    /// Carries what another process has committed to the gates of this one.
    fn look_around(&mut self) {
        self.find_again();
        if self.db.is_lost() {
            return;
        }
        if let Err(fault) = self.read_feed() {
            tracing::error!(error = ?fault, "the feed could not be read; gates stay where they are");
        }
    }

    /// Reads what is owed; else, what another connection may have written.
    fn read_feed(&mut self) -> Result<(), Fault> {
        let since = self.vitals.now();
        let read = if self.owes {
            self.feed.catch_up(&self.db, &self.keys)
        } else {
            self.feed.catch_up_if_changed(&self.db, &self.keys)
        };
        self.owes = read.is_err();
        match &read {
            Ok(()) => self.vitals.looked(since),
            Err(_) => self.vitals.store_failed(),
        }
        read
    }
}

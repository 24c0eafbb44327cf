//! The writer: one thread that makes every change, several in a transaction, each with its event.
//!
//! There is one way to commit: [`Write::commit`], which takes what happened. A job that does not end in it leaves no
//! trace. Several waiting jobs share one transaction, each in its own savepoint, so that one sync of the disk serves
//! them all (group commit); none is answered before that sync, and none before the feed has carried it to the gates of
//! this process.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use keygate_model::{Actor, Event, Position};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::{
    chain::Head,
    fault::Fault,
    feed::Feed,
    keys::Keys,
    origin::Origin,
    usage::{self, Mark},
    vitals::Vitals,
};

/// How many waiting changes one transaction takes at most.
const BATCH_MAX: usize = 128;

/// How often the writer looks whether another process has changed the database.
const LOOK_AROUND: Duration = Duration::from_millis(50);

/// A change in progress. Dropping it undoes it.
pub(crate) struct Write<'t> {
    db: &'t Connection,
    keys: &'t Keys,
    head: &'t mut Head,
    actor: Actor,
    origin: &'t Origin,
}

/// Proof that a change has named its event, with what the verb returns. Only [`Write::commit`] makes one.
pub(crate) struct Committed<T>(T);

impl Write<'_> {
    /// The database, for statements.
    pub(crate) fn db(&self) -> &Connection {
        self.db
    }

    /// The keys, for seals.
    pub(crate) fn keys(&self) -> &Keys {
        self.keys
    }

    /// Where and when it was asked for.
    pub(crate) fn origin(&self) -> &Origin {
        self.origin
    }

    /// Who acts.
    pub(crate) fn actor(&self) -> Actor {
        self.actor
    }

    /// Says who acts, where that is known only now: a person is a stranger until their login is found.
    pub(crate) fn act_as(&mut self, actor: Actor) {
        self.actor = actor;
    }

    /// The position that the `nth` event of this change will get, counted from 0. The row that the event is about
    /// carries it.
    pub(crate) fn position_of(&self, nth: i64) -> Position {
        Position(self.head.position.0 + 1 + nth)
    }

    /// Notes that a row of `table` will carry another seal than it does now. Every row that is saved is noted.
    pub(crate) fn reseal(&mut self, table: &str, id: [u8; 16], seal: &[u8; 32]) -> Result<(), Fault> {
        let mut select = self.db.prepare_cached(&format!("SELECT mac FROM {table} WHERE id = $1"))?;
        let mut rows = select.query([id])?;
        if let Some(row) = rows.next()? {
            self.head.seals.take(&row.get(0)?);
        }
        self.head.seals.add(seal);
        Ok(())
    }

    /// Ends a change by saying what happened.
    pub(crate) fn commit<T>(self, event: &Event, value: T) -> Result<Committed<T>, Fault> {
        self.commit_each(std::slice::from_ref(event), value)
    }

    /// Ends a change that is several things, in this order.
    pub(crate) fn commit_each<T>(self, events: &[Event], value: T) -> Result<Committed<T>, Fault> {
        if events.is_empty() {
            return Err(Fault::invalid("no_event", "a change must say what happened"));
        }
        for event in events {
            self.head.append(self.db, self.keys, self.actor, self.origin, event)?;
        }
        Ok(Committed(value))
    }
}

/// A job of the writer: runs in a transaction, or learns that there is none, and returns what to call once the
/// transaction's fate is known.
type Job = Box<dyn FnOnce(Option<Desktop<'_>>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Fate) + Send>;

/// What a job works on.
struct Desktop<'t> {
    db: &'t Connection,
    keys: &'t Keys,
    head: &'t mut Head,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is on the disk, and the gates of this process know.
    Done,
    /// Nothing of it was done.
    NotDone,
    /// It failed at its very end: it may be on the disk or not.
    Unknown,
}

enum Message {
    Change(Job),
    Marks(Vec<Mark>, oneshot::Sender<Result<(), Fault>>),
}

/// A handle on the writer.
pub(crate) struct Writer {
    // An Option only so that `Drop` can hang up before it joins the thread.
    jobs: Option<Sender<Message>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    /// Starts the writer on its own thread.
    pub(crate) fn start(
        db: Connection,
        keys: Arc<Keys>,
        feed: Feed,
        vitals: Arc<Vitals>,
    ) -> Result<Self, Fault> {
        let (jobs, inbox) = channel();
        let name = "keygate-writer".to_owned();
        let run = move || Desk { db, keys, feed, owes: false, vitals }.run(&inbox);
        let thread = thread::Builder::new().name(name).spawn(run).map_err(|_| Fault::Stopped)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Makes a change. Returns when it is on the disk and known to the gates of this process.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        actor: Actor,
        origin: &Origin,
        verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, outcome) = oneshot::channel();
        let origin = origin.clone();
        let job = move |desk: Option<Desktop<'_>>| -> Answer {
            let done =
                desk.ok_or(Fault::Unavailable).and_then(|desk| in_savepoint(desk, actor, &origin, verb));
            Box::new(move |fate| {
                let answer = done.and_then(|value| match fate {
                    Fate::Done => Ok(value),
                    Fate::NotDone => Err(Fault::Unavailable),
                    Fate::Unknown => Err(Fault::OutcomeUnknown),
                });
                // A caller who has hung up does not want the answer; the change stands.
                drop(reply.send(answer));
            })
        };
        self.send(Message::Change(Box::new(job)))?;
        outcome.await.map_err(|_| Fault::OutcomeUnknown)?
    }

    /// Writes marks of use. They are no change: nothing decides by them, and no event tells of them.
    pub(crate) async fn mark(&self, marks: Vec<Mark>) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Marks(marks, reply))?;
        outcome.await.map_err(|_| Fault::Stopped)?
    }

    fn send(&self, message: Message) -> Result<(), Fault> {
        self.jobs.as_ref().and_then(|jobs| jobs.send(message).ok()).ok_or(Fault::Stopped)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the writer panicked; what it had acknowledged is on the disk");
        }
    }
}

/// Runs a verb so that a refusal leaves nothing of it behind, and the others of the transaction untouched.
fn in_savepoint<T>(
    desk: Desktop<'_>,
    actor: Actor,
    origin: &Origin,
    verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault>,
) -> Result<T, Fault> {
    let Desktop { db, keys, head } = desk;
    let before = *head;
    db.execute_batch("SAVEPOINT change")?;
    let done = verb(Write { db, keys, head: &mut *head, actor, origin });
    let end = if done.is_ok() { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" };
    let ended = db.execute_batch(end);
    if done.is_err() || ended.is_err() {
        *head = before;
    }
    let Committed(value) = done?;
    ended?;
    Ok(value)
}

/// What the writer's thread works on.
struct Desk {
    db: Connection,
    keys: Arc<Keys>,
    feed: Feed,
    /// Whether the feed could not be read when it was last tried: then it is read whether somebody else has written or not.
    owes: bool,
    vitals: Arc<Vitals>,
}

impl Desk {
    fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            match inbox.recv_timeout(LOOK_AROUND) {
                Ok(first) => self.work(first, inbox),
                Err(RecvTimeoutError::Timeout) => self.look_around(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes `first` and whatever else waits, and settles it all with one commit.
    fn work(&mut self, first: Message, inbox: &Receiver<Message>) {
        let mut answers: Vec<Answer> = Vec::new();
        let fate = match self.fill(&mut answers, first, inbox) {
            Ok(()) => self.settle(),
            Err(fault) => {
                tracing::error!(error = ?fault, waiting = answers.len(), "a transaction failed: nothing of it was done");
                self.vitals.store_failed();
                self.roll_back();
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
        let begun = self.db.execute_batch("BEGIN IMMEDIATE").map_err(Fault::from);
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
            if self.db.is_autocommit() {
                // A full disk makes SQLite undo the whole transaction: what follows would stand outside of any.
                return Err(Fault::Unavailable);
            }
            next = if answers.len() < BATCH_MAX { inbox.try_recv().ok() } else { None };
        }
        if head == before { Ok(()) } else { head.save(&self.db, &self.keys) }
    }

    fn run_one(&self, message: Message, head: Option<&mut Head>) -> Answer {
        match message {
            Message::Change(job) => job(head.map(|head| Desktop { db: &self.db, keys: &self.keys, head })),
            Message::Marks(marks, reply) => {
                let written =
                    if head.is_some() { usage::write(&self.db, &marks) } else { Err(Fault::Unavailable) };
                Box::new(move |fate| {
                    let done = written.and(if fate == Fate::Done { Ok(()) } else { Err(Fault::Unavailable) });
                    drop(reply.send(done));
                })
            }
        }
    }

    /// Commits, and carries the change to the gates before anybody is told of it.
    fn settle(&mut self) -> Fate {
        if let Err(fault) = self.db.execute_batch("COMMIT") {
            tracing::error!(error = ?fault, "a commit failed; whether it is on the disk is not known");
            self.vitals.store_failed();
            self.roll_back();
            return Fate::Unknown;
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

    fn roll_back(&self) {
        if !self.db.is_autocommit()
            && let Err(fault) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(error = ?fault, "a transaction could not be rolled back");
        }
    }

    /// Carries what another process has committed to the gates of this one.
    fn look_around(&mut self) {
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

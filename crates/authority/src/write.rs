//! The writer: one thread that makes every change, several in a transaction, each with its event.
//!
//! There is one way to commit: [`Write::commit`], which takes what happened. A job that does not end in it leaves no
//! trace. Several waiting jobs share one transaction, each in its own savepoint, so that one sync of the disk serves
//! them all (group commit); none is answered before that sync, and none before the feed has carried it to the gates of
//! this process.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use keygate_model::{
    Actor, Event, Position, TokenId,
    enforce::{Nonce, Session},
};
use tokio::sync::oneshot;

use crate::{
    chain::Head,
    db::{Connection, Db, Sync},
    epoch::Memory,
    fault::Fault,
    feed::Feed,
    gates::Beat,
    keys::Keys,
    mass_revoke::note::Cursor,
    origin::Origin,
    token,
    usage::Mark,
    vitals::Vitals,
};

mod desk;
mod reserve;

/// The writer's connection, and how to get another.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) place: Db,
    pub(crate) sync: Sync,
    pub(crate) memory: Memory,
}

/// How long whoever asked for a change is let wait for its outcome. The change itself is not broken off.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much longer for each thing, where a change is about many.
const PATIENCE_EACH: Duration = Duration::from_millis(10);

/// How long a change is waited for that is about so many things.
pub(crate) const fn patience(things: usize) -> Duration {
    PATIENCE.saturating_add(PATIENCE_EACH.saturating_mul(things as u32))
}

/// Where a change stands that somebody waits for.
const WAITING: u8 = 0;
const BEGUN: u8 = 1;
const GIVEN_UP: u8 = 2;

/// A change in progress. Dropping it undoes it.
pub(crate) struct Write<'t> {
    db: &'t Connection,
    keys: &'t Keys,
    head: &'t mut Head,
    actor: Actor,
    /// What the token that acts is called, once that is known.
    called: Option<(TokenId, String)>,
    origin: &'t Origin,
    short: bool,
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

    /// Says what a token is called whose row was read, and which may be the one that acts: events tell the name.
    pub(crate) fn is_called(&mut self, token: TokenId, name: &str) {
        self.called = Some((token, name.to_owned()));
    }

    /// The position that the `nth` event of this change will get, counted from 0. The row that the event is about
    /// carries it.
    pub(crate) fn position_of(&self, nth: i64) -> Position {
        Position(self.head.position.0 + 1 + nth)
    }

    /// Notes the seal of a new row: of one that is inserted, and is an error where it was there already. Every row that is
    /// saved is noted.
    pub(crate) fn seal_new(&mut self, seal: &[u8; 32]) {
        self.head.seals.add(seal);
    }

    /// Notes that a row of `table` that is there will carry another seal than it does now.
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
        let events: Vec<_> = events.iter().map(|event| (self.actor, event.clone())).collect();
        self.commit_by(&events, value)
    }

    /// The same, where not all of them are in the same house.
    pub(crate) fn commit_by<T>(mut self, events: &[(Actor, Event)], value: T) -> Result<Committed<T>, Fault> {
        if events.is_empty() {
            return Err(Fault::invalid("no_event", "a change must say what happened"));
        }
        if self.short && !events.iter().all(|(_, event)| reserve::takes_away(event)) {
            return Err(Fault::Unavailable);
        }
        for (actor, event) in events {
            let name = self.name_of(*actor)?;
            self.head.append(self.db, self.keys, (*actor, name), self.origin, event)?;
        }
        Ok(Committed(value))
    }

    /// The name of the token that acts, asked for once; of whoever else, none.
    fn name_of(&mut self, actor: Actor) -> Result<String, Fault> {
        let Actor::Token { token, .. } = actor else { return Ok(String::new()) };
        match &self.called {
            Some((known, name)) if *known == token => Ok(name.clone()),
            _ => {
                let name = token::name_of(self.db, token)?;
                self.is_called(token, &name);
                Ok(name)
            }
        }
    }

    /// Begins an epoch after so many of them, and tells how many that is now.
    pub(crate) fn raise_epoch(&mut self, after: i64) -> i64 {
        self.head.raised = self.head.raised.max(after) + 1;
        self.head.raised
    }

    /// Notes in the head that a mass revoke begins, whose tokens' rows do not say so yet.
    pub(crate) fn begins_mass_revoke(&mut self) {
        self.head.unnoted += 1;
    }

    /// Whether all rows say what mass revokes have done.
    pub(crate) fn all_noted(&self) -> bool {
        self.head.unnoted == 0
    }

    /// Notes in the head that all rows say what a mass revoke has done.
    pub(crate) fn ends_mass_revoke(&mut self) {
        self.head.unnoted -= 1;
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
    /// Whether there is no room on the disk but for what takes away.
    short: bool,
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
    Beats(Vec<Beat>, oneshot::Sender<Result<Position, Fault>>),
    Forgotten(Vec<(Session, Nonce)>, oneshot::Sender<Result<(), Fault>>),
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
        opened: Opened,
        keys: Arc<Keys>,
        feed: Feed,
        vitals: Arc<Vitals>,
    ) -> Result<Self, Fault> {
        let (jobs, inbox) = channel();
        let name = "keygate-writer".to_owned();
        let run = move || {
            let Opened { db, place, sync, memory } = opened;
            let reserve = reserve::Reserve::beside(&place);
            desk::Desk {
                db,
                place,
                sync,
                memory,
                remembered: None,
                keys,
                feed,
                owes: false,
                vitals,
                noting: Cursor::default(),
                noted_at: Duration::ZERO,
                note_again: Duration::ZERO,
                look_again: Duration::ZERO,
                reserve,
            }
            .run(&inbox);
        };
        let thread = thread::Builder::new().name(name).spawn(run).map_err(|_| Fault::Stopped)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Whether there is a thread that writes. One that waits, however long, is one.
    pub(crate) fn is_there(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Makes a change. Returns when it is on the disk and known to the gates of this process; after a while without an
    /// outcome, with what is known by then: nothing was done where it had not begun, else nobody can tell yet. `things` is
    /// how many things it is about, beside the one that every change is about.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        actor: Actor,
        origin: &Origin,
        things: usize,
        verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, outcome) = oneshot::channel();
        let origin = origin.clone();
        let stage = Arc::new(AtomicU8::new(WAITING));
        let begins = Arc::clone(&stage);
        let job = move |desk: Option<Desktop<'_>>| -> Answer {
            let wanted = begins.compare_exchange(WAITING, BEGUN, Ordering::AcqRel, Ordering::Acquire).is_ok();
            let desk = desk.filter(|_| wanted).ok_or(Fault::Unavailable);
            let mut reached = None;
            let done = desk.and_then(|desk| in_part(desk, actor, &origin, verb, &mut reached));
            Box::new(move |fate| {
                if let (Fate::Done, Some(reached)) = (fate, reached) {
                    origin.has_reached(reached);
                }
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
        match tokio::time::timeout(patience(things), outcome).await {
            Ok(outcome) => outcome.map_err(|_| Fault::OutcomeUnknown)?,
            Err(_) => {
                let given_up =
                    stage.compare_exchange(WAITING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire).is_ok();
                Err(if given_up { Fault::Unavailable } else { Fault::OutcomeUnknown })
            }
        }
    }

    /// Writes marks of use. They are no change: nothing decides by them, and no event tells of them.
    pub(crate) async fn mark(&self, marks: Vec<Mark>) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Marks(marks, reply))?;
        outcome.await.map_err(|_| Fault::Stopped)?
    }

    /// Commits heartbeats, and tells the position that the record had then.
    pub(crate) async fn beat(&self, beats: Vec<Beat>) -> Result<Position, Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Beats(beats, reply))?;
        outcome.await.map_err(|_| Fault::Stopped)?
    }

    /// Forgets runs of gates.
    pub(crate) async fn forget(&self, ended: Vec<(Session, Nonce)>) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(Message::Forgotten(ended, reply))?;
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
fn in_part<T>(
    desk: Desktop<'_>,
    actor: Actor,
    origin: &Origin,
    verb: impl FnOnce(Write<'_>) -> Result<Committed<T>, Fault>,
    reached: &mut Option<Position>,
) -> Result<T, Fault> {
    let Desktop { db, keys, head, short } = desk;
    let before = *head;
    db.begin_part()?;
    let done = verb(Write { db, keys, head: &mut *head, actor, called: None, origin, short });
    let ended = db.end_part(done.is_ok());
    if done.is_err() || ended.is_err() {
        *head = before;
    }
    if matches!(done, Ok(_) | Err(Fault::AlreadyDone)) {
        *reached = Some(head.position);
    }
    let Committed(value) = done?;
    ended?;
    Ok(value)
}

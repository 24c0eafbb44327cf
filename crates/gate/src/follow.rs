//! Following a node: a gate without a database hears from it what there is and what changes, and goes to another node
//! where that one fails it.
//!
//! What it holds is never half of one state and half of another: everything anew goes into a replica of its own, which
//! takes the old one's place when it is whole, and what changed is applied in order. Positions never go backwards: a node
//! that is behind what was applied is left for another. Where it does not know, the gate is closed, and cannot tell.

mod course;
mod intake;
mod line;
mod source;
mod status;
mod why;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keygate_model::{
    Action, Circumstances, Digest, Position, Timestamp, Verdict, Want,
    enforce::{Echo, Epoch, Nonce, Session},
};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use crate::{
    Filling, Gate,
    lease::uptime,
    wire::{Frame, Frames},
};
use line::{Answered, Line, Stream};

pub use course::Course;
pub use intake::Taken;
pub use source::{BadSource, Source};
pub use status::Status;
pub use why::Why;

/// How long a node may be silent: it says something every second.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long it may take to begin.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How often the lease is renewed, and how soon after something was applied: somebody may be waiting to hear of it.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RENEW_SOON: Duration = Duration::from_millis(2);

/// How long to wait after every node has failed once, and at most.
const WAIT_FIRST: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How a gate follows.
pub struct Settings {
    /// The nodes, the first preferred.
    pub sources: Vec<Source>,
    /// The token that has the right to follow.
    pub token: Zeroizing<String>,
    /// What this gate is called.
    pub name: String,
    /// The time on a clock that only moves forward.
    pub clock: Box<dyn Fn() -> Duration + Send + Sync>,
    /// The time of day, by which tokens are over.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Random bits.
    pub chance: Box<dyn Fn() -> u128 + Send + Sync>,
    /// Told of every answer to a renewal of the lease.
    pub on_heartbeat: Box<dyn Fn(Renewed) + Send + Sync>,
    /// How long after the last word of any node the gate is closed.
    pub silence_max: Duration,
}

/// A node has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// When it was asked: from then on it counts.
    pub sent_at: Duration,
    /// Where the node was.
    pub position: Position,
    /// The node's time, if it said so.
    pub time: Option<Timestamp>,
}

/// Where a gate can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The epoch.
    pub epoch: u64,
    /// What is held.
    pub position: Position,
    /// The hash of the chain of events there.
    pub hash: Vec<u8>,
}

/// Where a gate has been, which outlasts what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The highest epoch and position that were ever applied.
    pub high: (u64, Position),
    /// Where it last heard the hash of the chain of events. Who has another there tells of another record.
    pub heard: Option<Place>,
}

/// Follows.
pub struct Follower {
    gate: Arc<Gate>,
    settings: Settings,
    course: Mutex<Course>,
    /// What the course said last of where it is, for those who ask while a frame is being applied.
    places: Mutex<(Option<Place>, Past)>,
    status: Status,
    /// This run of the gate, as its heartbeats call it.
    session: Session,
    /// Something was applied that no heartbeat has told of yet.
    applied: Notify,
}

impl Follower {
    /// A follower that fills this gate, and opens and closes it.
    #[must_use]
    pub fn new(gate: Arc<Gate>, settings: Settings) -> Self {
        let session = Session((settings.chance)());
        Self {
            course: Mutex::new(Course::new(Arc::clone(&gate), session)),
            gate,
            settings,
            places: Mutex::default(),
            status: Status::default(),
            session,
            applied: Notify::new(),
        }
    }

    /// How it goes.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Goes on from what was kept, if it was, and never follows a node that is behind `past`, or has another. For before the
    /// first [`Follower::follow`]. The gate stays closed until a node has told what was missed.
    pub fn begin_with(&self, kept: Option<(Filling, Place)>, past: Past) {
        self.steer(|course| course.begin_with(kept, past));
    }

    /// Where the gate could go on when a node last said where it was. None: nowhere.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.places().0.clone()
    }

    /// Where it has been.
    #[must_use]
    pub fn past(&self) -> Past {
        self.places().1.clone()
    }

    /// Does something with the course, and notes where it is then.
    fn steer<T>(&self, act: impl FnOnce(&mut Course) -> T) -> T {
        let mut course = lock(&self.course);
        let done = act(&mut course);
        *self.places() = (course.place().cloned(), course.past().clone());
        done
    }

    fn places(&self) -> MutexGuard<'_, (Option<Place>, Past)> {
        lock(&self.places)
    }

    /// Follows for as long as it is polled.
    pub async fn follow(&self) {
        tokio::join!(self.go_round(), self.watch());
    }

    /// Goes from node to node.
    async fn go_round(&self) {
        let (mut turn, mut failures) = (0_usize, 0_usize);
        let nodes = self.settings.sources.len().max(1);
        loop {
            let Some(source) = self.settings.sources.get(turn % nodes) else {
                return std::future::pending().await;
            };
            let why = self.follow_one(source, &mut failures).await;
            self.status.ended(&why);
            tracing::warn!(node = %source, error = %why, "the feed has ended; trying the next node");
            turn += 1;
            failures += 1;
            if failures % nodes == 0 {
                tokio::time::sleep(self.pause(failures / nodes)).await;
            }
        }
    }

    /// How long to wait after this many rounds in vain: twice as long each time, and no two gates the same.
    fn pause(&self, rounds: usize) -> Duration {
        let doublings = u32::try_from(rounds.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
        let most = WAIT_FIRST.saturating_mul(1 << doublings).min(WAIT_MAX);
        let share = ((self.settings.chance)() as u32) as f64 / f64::from(u32::MAX);
        most / 2 + most.mul_f64(share / 2.0)
    }

    /// Follows one node until that ends.
    async fn follow_one(&self, source: &Source, failures: &mut usize) -> Why {
        match self.listen(source, failures).await {
            Ok(never) => match never {},
            Err(why) => {
                self.steer(|course| course.ended(&why));
                why
            }
        }
    }

    async fn listen(&self, source: &Source, failures: &mut usize) -> Result<Infallible, Why> {
        let line = tokio::time::timeout(CONNECT_MAX, Line::to(source)).await.map_err(|_| Why::Silent)??;
        let path = self.steer(|course| course.path());
        let asked = line.feed(&self.settings.token, &path);
        let mut stream = tokio::time::timeout(CONNECT_MAX, asked).await.map_err(|_| Why::Silent)??;
        let mut frames = Frames::default();
        let Frame::Hello(hello) = self.next(&mut stream, &mut frames).await? else {
            return Err(Why::Unexpected);
        };
        tracing::info!(node = %source, name = hello.node, position = hello.position, snapshot = hello.snapshot, "following");
        self.steer(|course| course.begin(&hello))?;
        self.status.began(hello.snapshot);
        *failures = 0;
        tokio::select! {
            ended = self.read(&mut stream, &mut frames) => ended,
            never = self.renew(&line, Epoch(hello.epoch)) => match never {},
        }
    }

    /// Takes what is said, until that ends.
    async fn read(&self, stream: &mut Stream, frames: &mut Frames) -> Result<Infallible, Why> {
        loop {
            let frame = self.next(stream, frames).await?;
            match self.steer(|course| course.take(frame))? {
                Taken::Replaced(retired) => {
                    // Whoever decides by it still is done with it long before.
                    tokio::spawn(async move {
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        drop(retired);
                    });
                }
                Taken::Applied => self.status.applied(),
                Taken::Nothing => continue,
            }
            self.applied.notify_one();
        }
    }

    /// The next frame, within the time that a node may be silent.
    async fn next(&self, stream: &mut Stream, frames: &mut Frames) -> Result<Frame, Why> {
        loop {
            if let Some(frame) = frames.frame()? {
                return Ok(frame);
            }
            let more = tokio::time::timeout(SILENCE_MAX, stream.more()).await.map_err(|_| Why::Silent)??;
            self.status.heard((self.settings.clock)());
            frames.push(&more);
        }
    }

    /// Renews the lease for as long as it is polled.
    async fn renew(&self, line: &Line, epoch: Epoch) -> Infallible {
        let mut canary = None;
        loop {
            let (sent_at, nonce) = ((self.settings.clock)(), Nonce((self.settings.chance)()));
            let heartbeat = self.steer(|course| course.heartbeat(nonce, uptime()));
            // After what was applied was read: it is decided by that, or by more.
            let decided = canary.and_then(|digest| Some((digest, self.allows(&digest)?)));
            let ask = line::Renewal {
                session: format!("{:032x}", self.session.0),
                name: &self.settings.name,
                nonce: format!("{:032x}", nonce.0),
                epoch: epoch.0,
                applied: heartbeat.applied.0,
                canary: decided.map(|(digest, _)| data_encoding::HEXLOWER.encode(digest.bytes())),
                canary_allowed: decided.map(|(_, allowed)| allowed),
            };
            match tokio::time::timeout(SILENCE_MAX, line.renew(&self.settings.token, &ask)).await {
                Ok(Ok(Answered { position, granted, canary: asked, time })) => {
                    canary = asked;
                    // Before anybody is let in by it.
                    (self.settings.on_heartbeat)(Renewed { sent_at, position, time });
                    let echo = Echo { session: self.session, epoch, nonce, position, granted };
                    if let Err(stray) = self.steer(|course| course.echoed(&echo)) {
                        tracing::debug!(error = %stray, "the lease was not renewed");
                    }
                }
                Ok(Err(why)) => tracing::debug!(error = %why, "the lease was not renewed"),
                Err(_) => tracing::debug!("the lease was not renewed in time"),
            }
            tokio::select! {
                () = tokio::time::sleep(RENEW_EVERY) => {}
                () = self.applied.notified() => tokio::time::sleep(RENEW_SOON).await,
            }
        }
    }

    /// What the gate decides about a token that wants to look at itself. None: it cannot tell.
    fn allows(&self, digest: &Digest) -> Option<bool> {
        let want = Want { action: Action::TOKEN_READ_SELF, service: None };
        match self.gate.decide(digest, &want, Circumstances::of((self.settings.now)(), None)) {
            Verdict::Allow(_) => Some(true),
            Verdict::Deny(_) => Some(false),
            Verdict::CannotTell(_) => None,
        }
    }

    /// Closes the gate when no node was heard of for too long.
    async fn watch(&self) {
        loop {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let silence = (self.settings.clock)().saturating_sub(self.status.heard_at());
            if silence > self.settings.silence_max && self.gate.is_open() {
                tracing::error!(
                    seconds = silence.as_secs(),
                    "no node is heard of: this gate cannot tell any more"
                );
                self.gate.close();
            }
        }
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

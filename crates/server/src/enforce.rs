//! Whether a change is enforced at every gate: the heartbeats of gates, their commits, and who waits for which position.
//! What decides is `keygate_model::enforce`; here are the clock, the record and the waiting.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use keygate_authority::{
    Fault,
    gates::{About, Beat},
};
use keygate_gate::lease::{Heartbeats, uptime};
use keygate_model::{
    Position, Span, Uptime,
    enforce::{Drift, Echo, Enforcement, Epoch, Gates, Heartbeat, Nonce, Session},
};
use tokio::sync::{Notify, oneshot, watch};

use crate::{app::App, edge::NoEntropy, error::Problem};

/// How often a process that shares its database proves that it can commit, and how soon after something has changed there.
const EVERY: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(20);

/// How long heartbeats are collected for one commit.
const COLLECT: Duration = Duration::from_millis(5);

/// The heartbeats of the gates of this node, and what is known of those of others.
pub struct Enforcer {
    book: Mutex<Gates>,
    waiting: Mutex<Vec<(Beat, oneshot::Sender<Echo>)>>,
    arrived: Notify,
    /// Rises whenever the book has changed.
    moved: watch::Sender<u64>,
    lease: Span,
    own: Option<Own>,
}

/// The gate of this process, where others write to the database too, as nodes on one server do and a proxy beside a node: it
/// needs a lease like any other.
struct Own {
    session: Session,
    name: String,
    heartbeats: Mutex<Heartbeats>,
    last: Mutex<Nonce>,
}

impl Enforcer {
    /// Of a process whose own gate needs a lease or not, whose gates have leases of this length.
    pub(crate) fn new(needs_lease: bool, lease: Span, session: [u8; 16], name: String, epoch: u64) -> Self {
        let session = Session(u128::from_be_bytes(session));
        let own = needs_lease.then(|| Own {
            session,
            name,
            heartbeats: Mutex::new(Heartbeats::new(session, Epoch(epoch))),
            last: Mutex::new(Nonce(0)),
        });
        Self {
            // What was heard before this process began is in the record, and read from there.
            book: Mutex::new(Gates::complete(Drift::DEFAULT)),
            waiting: Mutex::default(),
            arrived: Notify::new(),
            moved: watch::Sender::new(0),
            lease,
            own,
        }
    }

    /// How many gates may be answering, this node's own not among them where it needs no lease.
    pub(crate) fn live(&self) -> usize {
        self.book().live(uptime())
    }

    /// How long a gate's lease is, where no policy tolerates more.
    pub(crate) fn lease(&self) -> Span {
        self.lease
    }

    /// How many events the slowest of them has not said that it has applied.
    pub(crate) fn lag(&self, app: &App) -> i64 {
        self.book().slowest(uptime()).map_or(0, |slowest| (app.gate.position().0 - slowest.0).max(0))
    }

    /// Takes a heartbeat of a gate, and echoes it once it is committed.
    ///
    /// # Errors
    /// 503 if it could not be committed: then the gate has proved nothing.
    pub(crate) async fn heard(
        &self,
        app: &App,
        heartbeat: Heartbeat,
        name: String,
        about: About,
    ) -> Result<Echo, Problem> {
        let beat = Beat { heartbeat, name, granted: self.granted(app), about };
        self.note(&beat, uptime()).map_err(|_| Problem::from(Fault::Unavailable))?;
        let (reply, echo) = oneshot::channel();
        self.queue().push((beat, reply));
        self.arrived.notify_one();
        echo.await.map_err(|_| Problem::from(Fault::Unavailable))
    }

    /// For how long a gate may answer by an echo: the lease, or what the policy asks for that tolerates the most.
    fn granted(&self, app: &App) -> Span {
        app.gate.policy().longest_staleness().map_or(self.lease, |longest| longest.max(self.lease))
    }

    fn note(&self, beat: &Beat, now: Uptime) -> Result<(), keygate_model::enforce::TooManyGates> {
        self.book().heard(&beat.heartbeat, &beat.name, beat.granted, now)?;
        self.moved.send_modify(|times| *times += 1);
        Ok(())
    }

    /// Commits heartbeats and echoes them, for as long as it is polled.
    pub(crate) async fn keep_beating(&self, app: &App) {
        if let Err(fault) = self.read(app).await {
            tracing::error!(error = %fault, "the heartbeats of gates could not be read");
        }
        let mut ticks = 0_u64;
        loop {
            let told = self.beat(app).await;
            ticks += 1;
            if ticks.is_multiple_of(512) {
                self.tidy(app).await;
            }
            tokio::select! {
                () = self.arrived.notified() => tokio::time::sleep(COLLECT).await,
                () = tokio::time::sleep(EVERY) => {}
                () = self.moved_on(app, told) => {}
            }
        }
    }

    /// Done when the gate of this node has applied more, which others may be waiting to hear.
    async fn moved_on(&self, app: &App, told: Position) {
        if self.own.is_none() {
            return std::future::pending().await;
        }
        while app.gate.position() == told {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// One commit for everything that waits. Tells what the gate of this process has said that it has applied: what it applied
    /// while that was committed, it has not said yet.
    async fn beat(&self, app: &App) -> Position {
        let waiting = std::mem::take(&mut *self.queue());
        let own = self.own.as_ref().and_then(|own| self.own_beat(app, own).ok());
        let told = own.as_ref().map_or_else(|| app.gate.position(), |beat| beat.heartbeat.applied);
        if waiting.is_empty() && own.is_none() {
            return told;
        }
        let beats = waiting.iter().map(|(beat, _)| beat).chain(own.as_ref()).cloned().collect();
        match app.authority.beat(beats).await {
            Ok(position) => {
                for (beat, reply) in waiting {
                    if reply.send(echo(&beat, position)).is_err() {
                        tracing::debug!(gate = beat.name, "a gate hung up before its echo");
                    }
                }
                if let (Some(own), Some(beat)) = (&self.own, own) {
                    own.renew(app, &echo(&beat, position));
                }
                told
            }
            Err(fault) => {
                tracing::warn!(error = %fault, gates = waiting.len(), "no heartbeat could be committed: leases run out");
                // To be tried again in its time, and not at once.
                app.gate.position()
            }
        }
    }

    fn own_beat(&self, app: &App, own: &Own) -> Result<Beat, NoEntropy> {
        let nonce = Nonce(u128::from_be_bytes(app.rng.bytes()?));
        let now = uptime();
        let heartbeat = lock(&own.heartbeats).send(nonce, app.gate.position(), now);
        let beat = own.beat(app, heartbeat, self.granted(app));
        self.note(&beat, now).map_err(|_| NoEntropy)?;
        // Only now: who confirms by it earlier would date the lease before it was asked for.
        *lock(&own.last) = nonce;
        Ok(beat)
    }

    /// Waits until what was committed at `position` is enforced at every gate, for `bound` at most. As long as what gates of
    /// other nodes have said cannot be read, nobody knows that it is.
    pub(crate) async fn wait(
        &self,
        app: &App,
        position: Position,
        committed: Uptime,
        bound: Duration,
    ) -> Enforcement {
        let (mut moved, end) = (self.moved.subscribe(), committed.after(bound));
        let mut read_at = None::<Uptime>;
        loop {
            moved.mark_unchanged();
            self.confirm_own(app);
            let mut enforcement = self.book().enforced(position, committed, uptime());
            // Not for each of this node's gates, which are heard without it, and may be many.
            let is_due = read_at.is_none_or(|at| uptime().since(at) >= LOOK);
            let reads = is_due || matches!(enforcement, Enforcement::Enforced(_));
            let is_known = reads && self.has_read(app, position).await;
            let now = uptime();
            if reads {
                enforcement = self.book().enforced(position, committed, now);
                read_at = Some(now);
            }
            if !is_known && let Enforcement::Enforced(lines) = &mut enforcement {
                enforcement = Enforcement::Waiting { until: end, lines: std::mem::take(lines) };
            }
            let Enforcement::Waiting { until, .. } = &enforcement else { return enforcement };
            if end <= now {
                return enforcement;
            }
            // Another process may have heard more by then.
            let pause = end.min(*until).since(now).clamp(Duration::from_millis(1), LOOK);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // Its sender is this enforcer.
                _ = moved.changed() => {}
            }
        }
    }

    /// Reads what gates of all nodes have said, and tells whether that is all that was said before the change at `position`:
    /// where the record is read without that change, and may never have it, gates may have been heard that are not known
    /// here.
    async fn has_read(&self, app: &App, position: Position) -> bool {
        let read = self.read(app).await.inspect_err(|fault| {
            tracing::warn!(error = %fault, "what other nodes' gates have said cannot be read: no receipt yet");
        });
        read.is_ok_and(|seen| seen >= position)
    }

    /// What the gate of this process has applied, it has said.
    fn confirm_own(&self, app: &App) {
        let Some(own) = &self.own else { return };
        let (nonce, applied) = (*lock(&own.last), app.gate.position());
        if nonce != Nonce(0) {
            let epoch = Epoch(app.authority.epoch());
            let heartbeat = Heartbeat { session: own.session, epoch, nonce, applied };
            // There is room for one that was heard before.
            drop(self.book().heard(&heartbeat, &own.name, self.granted(app), uptime()));
        }
    }

    /// Reads what gates of all nodes have said, up to the position that it tells.
    async fn read(&self, app: &App) -> Result<Position, Fault> {
        let (position, beats) = app.authority.beats().await?;
        let now = uptime();
        let mut book = self.book();
        for beat in beats {
            book.heard(&beat.heartbeat, &beat.name, beat.granted, now).map_err(|_| Fault::Overloaded)?;
        }
        Ok(position)
    }

    /// Forgets runs that ended long ago.
    async fn tidy(&self, app: &App) {
        let ended = self.book().tidy(uptime());
        if !ended.is_empty()
            && let Err(fault) = app.authority.forget_beats(ended).await
        {
            tracing::warn!(error = %fault, "gates that are gone could not be forgotten");
        }
    }

    fn book(&self) -> MutexGuard<'_, Gates> {
        lock(&self.book)
    }

    fn queue(&self) -> MutexGuard<'_, Vec<(Beat, oneshot::Sender<Echo>)>> {
        lock(&self.waiting)
    }
}

impl Own {
    fn beat(&self, app: &App, heartbeat: Heartbeat, granted: Span) -> Beat {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let about = About { customer: None, everybody: true, version, heard_at: app.clock.now() };
        Beat { heartbeat, name: self.name.clone(), granted, about }
    }

    fn renew(&self, app: &App, echo: &Echo) {
        match lock(&self.heartbeats).echoed(echo, app.gate.position()) {
            Ok(proofs) => proofs.into_iter().for_each(|proof| app.gate.lease().renew(proof)),
            Err(stray) => tracing::error!(error = %stray, "this node's own heartbeat came back as another's"),
        }
    }
}

fn echo(beat: &Beat, position: Position) -> Echo {
    let Heartbeat { session, epoch, nonce, .. } = beat.heartbeat;
    Echo { session, epoch, nonce, position, granted: beat.granted }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

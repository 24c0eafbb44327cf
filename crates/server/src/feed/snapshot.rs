//! Snapshots: read and encoded once for all who come within a few seconds, and sent while they are being read.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::Duration,
};

use bytes::Bytes;
use keygate_authority::Fault;
use keygate_gate::wire::{Head, PART_LEN, RECORDS_MAX, Stage};
use keygate_model::{Batch, Position, Timestamp};
use tokio::sync::{Semaphore, watch};

use super::{
    audience::{Audiences, Telling, View},
    ring::frame,
};
use crate::app::App;

/// For how long a snapshot is good enough for others who come.
const SHARED: Duration = Duration::from_secs(5);

/// How long it may take somebody to fetch one.
const FETCHED_MAX: Duration = Duration::from_secs(60);

/// How many there may be at a time.
const SNAPSHOTS_MAX: usize = 8;

/// Those that there are.
pub(super) struct Snapshots {
    by_view: Mutex<HashMap<View, (Weak<Snapshot>, Timestamp)>>,
    /// One is read at a time.
    reading: Arc<Semaphore>,
}

/// One of them.
pub(super) struct Snapshot {
    /// What comes after it in the ring.
    pub(super) next: u64,
    state: Mutex<State>,
    grown: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    frames: Vec<Bytes>,
    /// Where it is, once everything is there.
    whole: Option<Position>,
    /// It will not become whole, or is too old.
    over: bool,
}

/// What a reader of one gets.
pub(super) enum Piece {
    Frame(Bytes),
    /// That was all: this is where it was read.
    End(Position),
    /// There will be no more.
    Failed,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { by_view: Mutex::default(), reading: Arc::new(Semaphore::new(1)) }
    }
}

impl Snapshots {
    /// A snapshot that is recent enough: one that there is, or a new one.
    pub(super) fn take(&self, app: &Arc<App>, view: View) -> Result<Arc<Snapshot>, Fault> {
        let now = app.clock.now();
        let mut by_view = self.by_view.lock().unwrap_or_else(PoisonError::into_inner);
        by_view.retain(|_, (snapshot, _)| snapshot.strong_count() > 0);
        if let Some((snapshot, since)) = by_view.get(&view)
            && now < since.after(SHARED)
            && let Some(snapshot) = snapshot.upgrade()
            && !snapshot.state().over
        {
            return Ok(snapshot);
        }
        if by_view.len() >= SNAPSHOTS_MAX {
            return Err(Fault::Overloaded);
        }
        // What is said from now on is in the ring, and what was said before will be in the snapshot.
        let next = app.feed.ring().end();
        let (state, grown) = (Mutex::default(), watch::Sender::new(0));
        let snapshot = Arc::new(Snapshot { next, state, grown });
        by_view.insert(view, (Arc::downgrade(&snapshot), now));
        tokio::spawn(read(Arc::clone(app), view, Arc::clone(&snapshot), Arc::clone(&self.reading)));
        Ok(snapshot)
    }
}

/// Reads everything, and forgets it when it was there for long enough.
async fn read(app: Arc<App>, view: View, snapshot: Arc<Snapshot>, reading: Arc<Semaphore>) {
    {
        let Ok(_turn) = reading.acquire().await else { return };
        let audiences = Audiences::new(app.feed.teller.own_policy());
        let mut cutter =
            Cutter { snapshot: Arc::clone(&snapshot), audiences, view, tellings: Vec::new(), len: 0 };
        let (said, heard) = watch::channel(Position(0));
        let sink = Box::new(move |batch: Batch| {
            said.send_replace(batch.position);
            cutter.add(&batch);
        });
        let read = app.authority.snapshot(sink).await;
        snapshot.end(read.map(|()| *heard.borrow()));
    }
    let weak = Arc::downgrade(&snapshot);
    drop(snapshot);
    tokio::time::sleep(FETCHED_MAX).await;
    if let Some(snapshot) = weak.upgrade() {
        let mut state = snapshot.state();
        (state.frames, state.over) = (Vec::new(), true);
    }
}

/// Makes frames of records.
struct Cutter {
    snapshot: Arc<Snapshot>,
    audiences: Audiences,
    view: View,
    tellings: Vec<Telling>,
    len: usize,
}

impl Cutter {
    fn add(&mut self, batch: &Batch) {
        let mut told = Vec::new();
        for record in &batch.records {
            self.audiences.tell(record, &mut told);
            for telling in told.drain(..).filter(|telling| telling.is_for(self.view)) {
                self.len += telling.record.len();
                self.tellings.push(telling);
            }
            if self.len >= PART_LEN || self.tellings.len() + 2 > RECORDS_MAX {
                self.cut(batch.position);
            }
        }
        // The last batch is told with nothing behind it, and is not known as the last.
        self.cut(batch.position);
    }

    fn cut(&mut self, position: Position) {
        let head = Head { after: 0, position: position.0, complete: false, count: 0 };
        let tellings = std::mem::take(&mut self.tellings);
        if !tellings.is_empty() {
            self.snapshot.push(frame(Stage::Snapshot, &head, &tellings, self.view));
        }
        self.len = 0;
        thread::yield_now();
    }
}

impl Snapshot {
    /// The piece with this number, when it is there.
    pub(super) async fn piece(&self, number: usize) -> Piece {
        let mut grown = self.grown.subscribe();
        loop {
            {
                let state = self.state();
                match (state.frames.get(number), state.whole) {
                    (Some(frame), _) => return Piece::Frame(frame.clone()),
                    (None, _) if state.over => return Piece::Failed,
                    (None, Some(position)) => return Piece::End(position),
                    (None, None) => {}
                }
            }
            if grown.changed().await.is_err() {
                return Piece::Failed;
            }
        }
    }

    fn push(&self, frame: Bytes) {
        let mut state = self.state();
        state.frames.push(frame);
        let len = state.frames.len();
        drop(state);
        self.grown.send_replace(len);
    }

    fn end(&self, read: Result<Position, Fault>) {
        match read {
            Ok(position) => {
                let head = Head { after: 0, position: position.0, complete: true, count: 0 };
                self.push(frame(Stage::Snapshot, &head, &[], View::All));
                self.state().whole = Some(position);
            }
            Err(fault) => {
                tracing::warn!(error = %fault, "a snapshot for gates could not be read");
                self.state().over = true;
            }
        }
        self.grown.send_modify(|_| {});
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

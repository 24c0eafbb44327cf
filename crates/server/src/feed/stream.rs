//! What one follower is sent.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::Ordering},
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::unfold;
use keygate_gate::wire::{End, Frame, Hello, VERSION};
use keygate_model::{Action, Position};
use tokio::sync::watch;

use super::{
    Hub, View,
    ring::Thing,
    snapshot::{Piece, Snapshot},
};
use crate::{app::App, caller::Caller, error::Problem};

/// From where a gate wants to go on: a position, and the hash of the chain of events there.
pub(crate) struct Resume {
    pub(crate) from: Position,
    pub(crate) hash: [u8; 32],
    pub(crate) epoch: u64,
}

/// A follower.
struct Follower {
    app: Arc<App>,
    caller: Caller,
    view: View,
    said: watch::Receiver<u64>,
    /// The number of what it is sent next.
    next: u64,
    /// Everything up to here was sent.
    held: Position,
    stage: Stage,
}

enum Stage {
    Hello(Bytes, Option<Arc<Snapshot>>),
    Snapshot(Arc<Snapshot>, usize),
    Tail,
    Over,
}

/// Answers a gate with the feed, from where it was if that can be.
pub(crate) async fn stream(app: &Arc<App>, caller: Caller, resume: Option<Resume>) -> Result<Body, Problem> {
    let view = app.feed.view(caller.permit.customer());
    let resumed = match resume {
        Some(resume) => shared(app, &resume).await?,
        None => None,
    };
    let said = app.feed.said.subscribe();
    let (next, position) = {
        let mut ring = app.feed.ring();
        let end = ring.enter(view);
        let next = resumed.and_then(|held| ring.after(held));
        (next.map(|next| (next, resumed)), (end, ring.last()))
    };
    // From here on whoever is counted is counted out again.
    let mut follower = Follower {
        app: Arc::clone(app),
        caller,
        view,
        said,
        next: next.map_or(position.0, |(next, _)| next),
        held: next.and(resumed).unwrap_or(Position(0)),
        stage: Stage::Over,
    };
    app.feed.followers.fetch_add(1, Ordering::Relaxed);
    let snapshot = match next {
        Some(_) => None,
        None => Some(app.feed.snapshots.take(app, view)?),
    };
    let (tokens, _) = app.gate.size();
    let hello = Hello {
        version: VERSION,
        oldest: VERSION,
        epoch: app.authority.epoch(),
        node: app.node.clone(),
        session: data_encoding::HEXLOWER.encode(&app.rng.bytes::<16>()?),
        position: position.1.0,
        snapshot: snapshot.is_some(),
        // How many others have is nothing for a customer's gate.
        tokens: if view == View::All { tokens as u64 } else { 0 },
        customer: view.customer().map_or_else(Vec::new, |id| id.to_bytes().to_vec()),
    };
    follower.stage = Stage::Hello(Frame::Hello(hello).encode(), snapshot);
    let frames = unfold(follower, |mut follower| async {
        let frame = follower.frame().await?;
        Some((Ok::<_, Infallible>(frame), follower))
    });
    Ok(Body::from_stream(frames))
}

/// Where a gate can go on, if its past is ours. None: it is, and was too long ago.
async fn shared(app: &App, resume: &Resume) -> Result<Option<Position>, Problem> {
    let epoch = app.authority.epoch();
    if resume.epoch > epoch {
        return Err(Problem::epoch_regression());
    }
    if resume.epoch < epoch {
        return Ok(None);
    }
    match app.authority.hash_at(resume.from).await? {
        Some(hash) if hash == resume.hash => Ok(Some(resume.from)),
        // It has applied what never was here, or not yet.
        _ => Err(Problem::epoch_regression()),
    }
}

impl Follower {
    /// What is sent next. None: that was all.
    async fn frame(&mut self) -> Option<Bytes> {
        if matches!(self.stage, Stage::Over) {
            return None;
        }
        match self.next_frame().await {
            Ok(frame) => Some(frame),
            Err(code) => {
                if code == "too_slow" {
                    self.hub().cut.fetch_add(1, Ordering::Relaxed);
                }
                tracing::info!(code, customer = %self.caller.permit.customer(), "a gate's feed ends");
                self.stage = Stage::Over;
                Some(Frame::End(End { code: code.to_owned() }).encode())
            }
        }
    }

    async fn next_frame(&mut self) -> Result<Bytes, &'static str> {
        loop {
            self.may_go_on()?;
            match &mut self.stage {
                Stage::Hello(hello, snapshot) => {
                    let (hello, snapshot) = (hello.clone(), snapshot.take());
                    self.stage = match snapshot {
                        Some(snapshot) => {
                            self.next = snapshot.next;
                            Stage::Snapshot(snapshot, 0)
                        }
                        None => self.begin_tail(),
                    };
                    return Ok(hello);
                }
                Stage::Snapshot(snapshot, number) => match snapshot.piece(*number).await {
                    Piece::Frame(frame) => {
                        *number += 1;
                        return Ok(frame);
                    }
                    Piece::End(position) => {
                        self.held = position;
                        self.stage = self.begin_tail();
                    }
                    Piece::Failed => return Err("snapshot_failed"),
                },
                Stage::Tail => {
                    self.said.borrow_and_update();
                    if let Some(frame) = self.tail()? {
                        return Ok(frame);
                    }
                    self.wait().await;
                }
                Stage::Over => return Err("over"),
            }
        }
    }

    /// Asks for a heartbeat: with the first one a gate knows that it has heard everything.
    fn begin_tail(&self) -> Stage {
        self.hub().told.notify_one();
        Stage::Tail
    }

    /// Waits for something to be said.
    async fn wait(&mut self) {
        // The hub lives as long as the process.
        let _ = self.said.changed().await;
    }

    /// The next frame of what is said, if there is one.
    fn tail(&mut self) -> Result<Option<Bytes>, &'static str> {
        loop {
            let thing = self.hub().ring().get(self.next).map_err(|_| "too_slow")?;
            let Some(thing) = thing else { return Ok(None) };
            self.next += 1;
            match &*thing {
                Thing::Records(changes) => {
                    let (after, position) = (Position(changes.head.after), Position(changes.head.position));
                    // A snapshot may be ahead of what was said.
                    if position < self.held || (position == self.held && after != self.held) {
                        continue;
                    }
                    if changes.head.complete {
                        self.held = position;
                    }
                    return Ok(Some(changes.frame(self.view)));
                }
                Thing::Beat(position, frame) if *position == self.held => return Ok(Some(frame.clone())),
                Thing::Checks(position, frames) if *position == self.held => {
                    if let Some(frame) = frames.get(&self.view) {
                        return Ok(Some(frame.clone()));
                    }
                }
                Thing::Beat(..) | Thing::Checks(..) => {}
            }
        }
    }

    /// Whether it may still be told anything: the law is asked again for every frame.
    fn may_go_on(&mut self) -> Result<(), &'static str> {
        if self.hub().is_stopped() {
            return Err("stopping");
        }
        self.caller.origin.now = self.app.clock.now();
        match self.caller.may(&self.app, Action::FEED_FOLLOW, None) {
            Ok(_) => Ok(()),
            Err(problem) => Err(problem.code),
        }
    }

    fn hub(&self) -> &Hub {
        &self.app.feed
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.hub().ring().leave(self.view);
        self.hub().followers.fetch_sub(1, Ordering::Relaxed);
    }
}

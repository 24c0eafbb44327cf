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
    ring::{Forgotten, Reader},
    snapshot::{Piece, Snapshot},
};
use crate::{app::App, caller::Caller, error::Problem};

/// Where a gate has been: a position, and the hash of the chain of events there.
pub(crate) struct Resume {
    pub(crate) from: Position,
    pub(crate) hash: [u8; 32],
    pub(crate) epoch: u64,
    /// It does not go on from there, but wants to be told everything.
    pub(crate) anew: bool,
}

/// A follower.
struct Follower {
    app: Arc<App>,
    caller: Caller,
    view: View,
    said: watch::Receiver<u64>,
    reader: Reader,
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
    let (reader, end, position) = {
        let mut ring = app.feed.ring();
        let end = ring.enter(view);
        let next = resumed.and_then(|held| ring.after(held));
        let reader = next.zip(resumed).map(|(next, held)| Reader::new(view, next, held));
        (reader, end, ring.last())
    };
    let resumes = reader.is_some();
    // From here on whoever is counted is counted out again.
    let mut follower = Follower {
        app: Arc::clone(app),
        caller,
        view,
        said,
        reader: reader.unwrap_or_else(|| Reader::new(view, end, Position(0))),
        stage: Stage::Over,
    };
    app.feed.followers.fetch_add(1, Ordering::Relaxed);
    let snapshot = if resumes { None } else { Some(app.feed.snapshots.take(app, view)?) };
    let (tokens, _) = app.gate.size();
    let hello = Hello {
        version: VERSION,
        oldest: VERSION,
        epoch: app.authority.epoch(),
        node: app.node.clone(),
        session: data_encoding::HEXLOWER.encode(&app.rng.bytes::<16>()?),
        position: position.0,
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

/// Where a gate can go on, if its past is ours. None: everything is to be told it.
async fn shared(app: &App, resume: &Resume) -> Result<Option<Position>, Problem> {
    let epoch = app.authority.epoch();
    if resume.epoch > epoch {
        return Err(Problem::epoch_regression());
    }
    if resume.epoch < epoch {
        return Ok(None);
    }
    match app.authority.hash_at(resume.from).await? {
        Some(hash) if hash == resume.hash => Ok((!resume.anew).then_some(resume.from)),
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
                        Some(snapshot) => Stage::Snapshot(snapshot, 0),
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
                        self.reader = Reader::new(self.view, snapshot.next, position);
                        self.stage = self.begin_tail();
                    }
                    Piece::Failed => return Err("snapshot_failed"),
                },
                Stage::Tail => {
                    self.said.borrow_and_update();
                    let told = self.reader.frame(&self.app.feed.teller).map_err(|Forgotten| "too_slow")?;
                    if let Some(frame) = told {
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

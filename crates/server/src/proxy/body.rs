//! Bodies on their way, in pieces and never whole. Whose turn it is to move the next piece is noted in both waits.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    Timeouts,
    pool::Lease,
    stream::{Link, Visit},
    wait::Wait,
};

/// A request's body, on its way to the upstream.
pub(super) struct Upload(Option<Flowing>);

struct Flowing {
    body: Incoming,
    turns: Turns,
}

struct Turns {
    client: Arc<Link>,
    upstream: Option<Arc<Wait>>,
    gate: Arc<Gate>,
    timeouts: Timeouts,
}

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the other side's body broke off")]
    There(#[source] hyper::Error),
    #[error("the answer was whole before the request was")]
    Answered,
}

/// Whether a request's body may flow: held back until the upstream wants it (`Expect: 100-continue`), and stopped when
/// the answer is over before it.
#[derive(Default)]
pub(super) struct Gate(Mutex<(Flow, Option<Waker>)>);

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Flow {
    Held,
    #[default]
    Open,
    Done,
    Stopped,
}

impl Gate {
    pub(super) fn new(is_held: bool) -> Arc<Self> {
        let flow = if is_held { Flow::Held } else { Flow::Open };
        Arc::new(Self(Mutex::new((flow, None))))
    }

    /// The upstream wants the body, or it has been waited for its word long enough.
    pub(super) fn open(&self) {
        self.change(|flow| flow == Flow::Held, Flow::Open);
    }

    /// Nobody wants the rest.
    fn stop(&self) {
        self.change(|flow| flow != Flow::Done, Flow::Stopped);
    }

    fn done(&self) {
        self.change(|_| true, Flow::Done);
    }

    fn is_done(&self) -> bool {
        self.lock().0 == Flow::Done
    }

    fn change(&self, when: impl Fn(Flow) -> bool, to: Flow) {
        let mut state = self.lock();
        if when(state.0) {
            state.0 = to;
            if let Some(waker) = state.1.take() {
                waker.wake();
            }
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<(), Broken>> {
        let mut state = self.lock();
        match state.0 {
            Flow::Stopped => return Poll::Ready(Err(Broken::Answered)),
            Flow::Done => return Poll::Ready(Ok(())),
            Flow::Open | Flow::Held => {}
        }
        if !state.1.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            state.1 = Some(cx.waker().clone());
        }
        if state.0 == Flow::Held { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn lock(&self) -> MutexGuard<'_, (Flow, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    /// Of a request that has no body.
    pub(super) fn none() -> Self {
        Self(None)
    }

    pub(super) fn new(body: Incoming, client: Arc<Link>, gate: Arc<Gate>, timeouts: Timeouts) -> Self {
        Self(Some(Flowing { body, turns: Turns { client, upstream: None, gate, timeouts } }))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Notes the connection that the body goes to.
    pub(super) fn goes_to(&mut self, upstream: &Arc<Wait>) {
        if let Some(flowing) = &mut self.0 {
            flowing.turns.upstream = Some(Arc::clone(upstream));
        }
    }
}

impl Turns {
    fn clients(&self) {
        self.client.wait.turn(self.timeouts.idle_seconds);
        if let Some(upstream) = &self.upstream {
            upstream.rest();
        }
    }

    fn upstreams(&self, seconds_max: u32) {
        self.client.wait.rest();
        if let Some(upstream) = &self.upstream {
            upstream.turn(seconds_max);
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(Flowing { body, turns }) = &mut self.get_mut().0 else { return Poll::Ready(None) };
        ready!(turns.gate.poll(cx))?;
        let polled = Pin::new(&mut *body).poll_frame(cx);
        match &polled {
            Poll::Pending => turns.clients(),
            Poll::Ready(Some(Ok(frame))) if !frame.is_trailers() && !body.is_end_stream() => {
                turns.upstreams(turns.timeouts.idle_seconds);
            }
            Poll::Ready(Some(Ok(_)) | None) => {
                turns.gate.done();
                turns.upstreams(turns.timeouts.answer_seconds);
            }
            Poll::Ready(Some(Err(_))) => {}
        }
        polled.map_err(Broken::There)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|flowing| flowing.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |flowing| flowing.body.size_hint())
    }
}

/// An answer's body, on its way to the client. With it ends the lease of the upstream's connection.
pub(super) struct Download {
    body: Incoming,
    lease: Option<Lease>,
    visit: Visit,
    gate: Option<Arc<Gate>>,
    idle_seconds: u32,
    is_over: bool,
}

impl Download {
    pub(super) fn new(
        body: Incoming,
        lease: Lease,
        visit: Visit,
        gate: Option<Arc<Gate>>,
        idle_seconds: u32,
    ) -> Self {
        Self { body, lease: Some(lease), visit, gate, idle_seconds, is_over: false }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        let (client, seconds_max) = (this.visit.wait(), this.idle_seconds);
        let upstream = this.lease.as_ref().map(Lease::wait);
        match &polled {
            Poll::Pending => {
                client.rest();
                if let Some(upstream) = upstream {
                    upstream.turn(seconds_max);
                }
            }
            Poll::Ready(frame) => {
                client.turn(seconds_max);
                if let Some(upstream) = upstream {
                    upstream.rest();
                }
                let is_last = frame.as_ref().is_none_or(|frame| frame.as_ref().is_ok_and(Frame::is_trailers));
                this.is_over |= is_last;
            }
        }
        polled.map_err(Broken::There)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let is_whole = self.is_over || self.body.is_end_stream();
        if let Some(gate) = self.gate.take().filter(|gate| !gate.is_done()) {
            gate.stop();
            self.lease = None;
        }
        if let Some(lease) = self.lease.take().filter(|_| is_whole) {
            lease.give_back();
        }
    }
}

/// What a client is answered with: the upstream's body, or one of our own.
pub(super) enum Answer {
    Through(Download),
    Own(axum::body::Body),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Through(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Own(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Through(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Through(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
        }
    }
}

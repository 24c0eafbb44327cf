//! Who waits until a gate has applied something.

#[cfg(feature = "follow")]
use keygate_model::Position;
#[cfg(feature = "follow")]
use tokio::sync::Notify;

#[cfg(feature = "follow")]
use crate::Gate;

/// They. To whoever decides it is nothing: only who applies looks whether somebody waits.
#[derive(Default)]
pub(crate) struct Moved {
    #[cfg(feature = "follow")]
    waiting: Notify,
}

impl Moved {
    /// Says that something was applied.
    pub(crate) fn tell(&self) {
        #[cfg(feature = "follow")]
        self.waiting.notify_waiters();
    }
}

#[cfg(feature = "follow")]
impl Gate {
    /// Done when `position` is applied.
    pub async fn reached(&self, position: Position) {
        loop {
            // Before looking: what is applied after it is told to it.
            let moved = self.moved.waiting.notified();
            if position <= self.position() {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(all(test, feature = "follow"))]
mod tests {
    use std::{
        pin::pin,
        sync::Arc,
        task::{Context, Poll, Waker},
    };

    use keygate_model::{Batch, Policy, policy::OWN_POLICY};

    use super::*;

    #[test]
    fn whoever_waits_is_told_of_what_they_wait_for() {
        let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).expect("a policy")), 0);
        let mut context = Context::from_waker(Waker::noop());
        let (mut second, mut third) = (pin!(gate.reached(Position(2))), pin!(gate.reached(Position(3))));
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(third.as_mut().poll(&mut context), Poll::Pending);
        let apply = |position| gate.apply(Batch { position: Position(position), records: Vec::new() });
        apply(1);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        apply(2);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(()));
        assert_eq!(third.as_mut().poll(&mut context), Poll::Pending);
        let filled = gate.filling(0);
        filled.apply(Batch { position: Position(7), records: Vec::new() });
        drop(gate.replace(filled));
        assert_eq!(third.as_mut().poll(&mut context), Poll::Ready(()), "by all anew as by one change");
    }
}

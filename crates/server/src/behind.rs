//! A check that demands a position waits a moment for the gate to reach it: whoever was just told of a change asks elsewhere
//! about what they know.

use std::{sync::Arc, time::Duration};

use axum::http::HeaderMap;
use keygate_gate::http::at_least;
use keygate_model::{Deny, Position};
use tokio::{sync::Semaphore, time::timeout};

use crate::front::Front;

/// How long a check waits. A gate that hears anything has heard of a change long before.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// The most checks that wait at a time. One more is answered at once that nothing can be told: anybody can make up a position.
const WAITING_MAX: usize = 1024;

/// Room for those who wait.
pub(crate) struct Bench(Semaphore);

impl Default for Bench {
    fn default() -> Self {
        Self(Semaphore::new(WAITING_MAX))
    }
}

impl Front {
    /// The position that a request demands, once it has waited for it.
    ///
    /// # Errors
    /// What it demands cannot be read.
    pub(crate) async fn at_least(self: &Arc<Self>, headers: &HeaderMap) -> Result<Position, Deny> {
        let at_least = at_least(headers)?;
        if let Some(caught_up) = self.catching_up(headers) {
            caught_up.await;
        }
        Ok(at_least)
    }

    /// What a check with these headers waits for before it is put. None: nothing; what they say that cannot be read is
    /// refused when it is put.
    pub(crate) fn catching_up(
        self: &Arc<Self>,
        headers: &HeaderMap,
    ) -> Option<impl Future<Output = ()> + Send + use<>> {
        let at_least = at_least(headers).unwrap_or_default();
        if at_least == Position(0) || at_least <= self.gate.position() {
            return None;
        }
        let front = Arc::clone(self);
        Some(async move {
            let Ok(_place) = front.bench.0.try_acquire() else { return };
            // Whether it was reached, the gate says when it is asked.
            drop(timeout(WAIT_MAX, front.gate.reached(at_least)).await);
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use keygate_gate::Gate;
    use keygate_model::{Policy, policy::OWN_POLICY, token::Brand};

    use super::*;
    use crate::edge::{Clock, Rng};

    #[tokio::test]
    async fn there_is_room_for_so_many_and_no_more() {
        let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()), 0);
        let front = Front::new(Arc::new(gate), Clock::System, Rng::System, Brand::default(), None);
        let (front, mut headers) = (Arc::new(front), HeaderMap::new());
        assert!(front.catching_up(&headers).is_none());
        for (said, waits) in [("0", false), ("x", false), ("1", true)] {
            headers.insert("keygate-min-position", said.parse().unwrap());
            assert_eq!(front.catching_up(&headers).is_some(), waits, "{said}");
        }
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| Box::pin(front.catching_up(&headers).unwrap())).collect();
        assert!(waiting.iter_mut().all(|one| one.as_mut().poll(&mut context).is_pending()));
        let mut one_more = pin!(front.catching_up(&headers).unwrap());
        assert_eq!(one_more.as_mut().poll(&mut context), Poll::Ready(()));
        waiting.pop();
        let mut one_more = pin!(front.catching_up(&headers).unwrap());
        assert_eq!(one_more.as_mut().poll(&mut context), Poll::Pending);
    }
}

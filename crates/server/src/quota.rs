//! How many requests that change something a token and a person may make in an hour (CONTRACT §0.2). What counts is the
//! policy's to say: every action that is neither `read` nor `uncounted`.
//!
//! In memory, because it is against scripts gone wild, not against thieves: a restart forgives the hour.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use axum::http::{HeaderName, HeaderValue};
use keygate_model::{Timestamp, TokenId, UserId};
use serde::Deserialize;

/// A window is an hour, and ends at the top of it.
const WINDOW_SECONDS: i64 = 3600;

/// How many a window allows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// To a token.
    pub per_token: NonZeroU32,
    /// To a person, over all of their tokens.
    pub per_person: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        const THOUSAND: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);
        Self { per_token: THOUSAND, per_person: THOUSAND }
    }
}

/// Whose request it is. An automation token has no person, a password no token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spender {
    pub(crate) token: Option<TokenId>,
    pub(crate) person: Option<UserId>,
}

/// What is left after a request, as its answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Of the token's or of the person's, whichever is less.
    remaining: u32,
    /// When the window ends, in seconds since 1970.
    reset: i64,
}

/// Nothing was left, and nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) left: Left,
    pub(crate) retry_after_seconds: u32,
}

/// The counts of this hour.
pub struct Quota {
    limits: Limits,
    window: Mutex<Window>,
}

/// One hour. Only what exists and has asked in it is in here, and it is forgotten with the hour.
#[derive(Default)]
struct Window {
    /// Hours since 1970.
    hour: i64,
    tokens: HashMap<TokenId, u32>,
    people: HashMap<UserId, u32>,
}

impl Quota {
    /// Nobody has asked for anything yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, window: Mutex::default() }
    }

    /// Counts one request if something is left for it, in one step: requests at once cannot share the last one.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub(crate) fn spend(&self, who: Spender, now: Timestamp) -> Result<Left, Exceeded> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.turn_to(now.seconds().div_euclid(WINDOW_SECONDS));
        let reset = (window.hour + 1).saturating_mul(WINDOW_SECONDS);
        let Window { tokens, people, .. } = &mut *window;
        let token = who.token.map(|id| (tokens.entry(id).or_default(), self.limits.per_token));
        let person = who.person.map(|id| (people.entry(id).or_default(), self.limits.per_person));
        let counts = [token, person].into_iter().flatten();
        let free = |(count, limit): &(&mut u32, NonZeroU32)| limit.get().saturating_sub(**count);
        let mut counts: Vec<_> = counts.collect();
        let Some(free) = counts.iter().map(free).min().filter(|free| *free > 0) else {
            let wait = u32::try_from(reset - now.seconds()).unwrap_or(1).max(1);
            return Err(Exceeded { left: Left { remaining: 0, reset }, retry_after_seconds: wait });
        };
        for (count, _) in &mut counts {
            **count += 1;
        }
        Ok(Left { remaining: free - 1, reset })
    }
}

impl Window {
    /// Begins a new hour. A request that has waited over the end of the last one does not bring that back; a clock that
    /// was set back by more than that does.
    fn turn_to(&mut self, hour: i64) {
        if hour > self.hour || hour < self.hour - 1 {
            *self = Self { hour, ..Self::default() };
        }
    }
}

impl Left {
    /// As the headers of an answer say it, in plain integers: a client of Fastly's panics at anything else.
    pub(crate) fn headers(self) -> [(HeaderName, HeaderValue); 2] {
        [
            (HeaderName::from_static("fastly-ratelimit-remaining"), self.remaining.into()),
            (HeaderName::from_static("fastly-ratelimit-reset"), self.reset.into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(per_token: u32, per_person: u32) -> Quota {
        let some = |limit| NonZeroU32::new(limit).unwrap();
        Quota::new(Limits { per_token: some(per_token), per_person: some(per_person) })
    }

    fn who(token: u128, person: u128) -> Spender {
        let some = |bits| (bits > 0).then_some(bits);
        Spender { token: some(token).map(TokenId::from_bits), person: some(person).map(UserId::from_bits) }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn left(remaining: u32, reset: i64) -> Left {
        Left { remaining, reset }
    }

    #[test]
    fn a_token_and_a_person_each_have_their_own() {
        let quota = quota(2, 3);
        assert_eq!(quota.spend(who(1, 9), at(0)), Ok(left(1, 3600)));
        assert_eq!(quota.spend(who(1, 9), at(0)), Ok(left(0, 3600)));
        let exceeded = Exceeded { left: left(0, 3600), retry_after_seconds: 3590 };
        assert_eq!(quota.spend(who(1, 9), at(10)), Err(exceeded), "the token's");
        assert_eq!(
            quota.spend(who(2, 9), at(10)),
            Ok(left(0, 3600)),
            "a refusal was not counted for the person"
        );
        assert!(quota.spend(who(3, 9), at(10)).is_err(), "the person's");
        assert!(quota.spend(who(0, 9), at(10)).is_err(), "also with a password");
        assert_eq!(quota.spend(who(3, 8), at(10)), Ok(left(1, 3600)), "nor for the token");
        assert_eq!(quota.spend(who(4, 0), at(10)), Ok(left(1, 3600)), "a machine has only the token's");
        assert_eq!(quota.spend(who(4, 0), at(10)), Ok(left(0, 3600)));
        assert!(quota.spend(who(4, 0), at(10)).is_err());
    }

    #[test]
    fn the_hour_ends_at_its_top_and_is_forgotten() {
        let quota = quota(1, 9);
        assert_eq!(quota.spend(who(1, 9), at(3599)), Ok(left(0, 3600)));
        assert_eq!(quota.spend(who(1, 9), at(3599)).unwrap_err().retry_after_seconds, 1);
        assert_eq!(quota.spend(who(1, 9), at(3600)), Ok(left(0, 7200)));
        let late = quota.spend(who(1, 9), at(3599));
        assert_eq!(
            late.unwrap_err().left,
            left(0, 7200),
            "one that waited over the hour opens no second window"
        );
        for token in 2..9 {
            assert_eq!(quota.spend(who(token, 9), at(4000)).unwrap().reset, 7200);
        }
        quota.spend(who(1, 9), at(7200)).unwrap();
        let window = quota.window.lock().unwrap();
        assert_eq!((window.tokens.len(), window.people.len()), (1, 1));
    }

    #[test]
    fn a_clock_that_was_wrong_by_a_year_does_not_stop_the_count() {
        let quota = quota(1, 1);
        quota.spend(who(1, 1), at(31_536_000)).unwrap();
        assert_eq!(quota.spend(who(1, 1), at(0)), Ok(left(0, 3600)));
    }

    #[test]
    fn threads_share_it_exactly() {
        let quota = quota(1000, 500);
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=8)
                .map(|token| {
                    scope.spawn({
                        let quota = &quota;
                        move || (0..200).filter(|_| quota.spend(who(token, 9), at(0)).is_ok()).count()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, 500);
    }
}

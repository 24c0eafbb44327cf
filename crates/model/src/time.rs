//! Points in time. The clock is at the edge; here a time is a number that was handed in.

use std::{num::NonZeroU64, time::Duration};

/// A point in time, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time this many microseconds after 1970.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The time this many seconds after 1970.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// The time `later` after this one; the end of time where that would overflow.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_micros()).unwrap_or(i64::MAX)))
    }
}

/// A point on a clock that only moves forward, in microseconds since some start that each machine has of its own: it can be
/// compared with others of that clock, and with nothing else. Not the time of day, which anybody can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uptime(u64);

impl Uptime {
    /// The start of the clock.
    pub const START: Self = Self(0);

    /// The point this many microseconds after the start.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// The point `later` after this one; the end of time where that would overflow.
    #[must_use]
    pub fn after(self, later: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(later.as_micros()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; nothing, if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time that is not zero, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(NonZeroU64);

impl Span {
    /// This many seconds; none do not compile.
    #[must_use]
    pub const fn seconds<const MANY: u64>() -> Self {
        const { assert!(MANY > 0, "a span is not zero") };
        match NonZeroU64::new(MANY.saturating_mul(1_000_000)) {
            Some(micros) => Self(micros),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// This long. None: it is less than a microsecond, or more than the clock can count.
    #[must_use]
    pub fn of(length: Duration) -> Option<Self> {
        u64::try_from(length.as_micros()).ok().and_then(NonZeroU64::new).map(Self)
    }

    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_micros(self.0.get())
    }
}

/// Until when something is valid. *Never* is a value of its own, so that a forgotten limit cannot mean one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// Valid while `now` is before this.
    At(Timestamp),
    /// Valid without end. Stands last: every date is earlier.
    Never,
}

impl Expiry {
    /// The one boundary rule: alive while `now < expires_at`.
    #[must_use]
    pub fn is_alive(self, now: Timestamp) -> bool {
        match self {
            Self::At(end) => now < end,
            Self::Never => true,
        }
    }

    /// The date, if there is one.
    #[must_use]
    pub fn date(self) -> Option<Timestamp> {
        match self {
            Self::At(end) => Some(end),
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_dies_on_the_stroke() {
        let noon = Timestamp::from_seconds(43_200);
        let just_before = Timestamp::from_micros(noon.micros() - 1);
        assert!(Expiry::At(noon).is_alive(just_before));
        assert!(!Expiry::At(noon).is_alive(noon));
    }

    #[test]
    fn never_is_later_than_any_date() {
        assert!(Expiry::At(Timestamp::from_micros(i64::MAX)) < Expiry::Never);
    }
}

//! Times as people write and read them.

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};

use crate::edge::Clock;

/// A time that somebody names: a date, a time, or a stretch from now.
#[derive(Clone)]
pub(super) enum When {
    At(Timestamp),
    Stretch(Span),
}

impl When {
    /// For the arguments: `30d`, `2027-01-31`, `2027-01-31T12:00:00Z`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        if let Ok(date) = text.parse::<Date>()
            && let Ok(midnight) = date.to_zoned(TimeZone::UTC)
        {
            return Ok(Self::At(midnight.timestamp()));
        }
        match text.parse::<Span>() {
            Ok(span) if span.is_positive() => Ok(Self::Stretch(span)),
            _ => Err("a time is a stretch like 12h or 30d, a date like 2027-01-31, or a time like \
                      2027-01-31T12:00:00Z"
                .to_owned()),
        }
    }

    /// A stretch counts forward from now.
    pub(super) fn ahead(&self) -> anyhow::Result<String> {
        self.resolved(|span| span)
    }

    /// A stretch counts back from now.
    pub(super) fn back(&self) -> anyhow::Result<String> {
        self.resolved(Span::negate)
    }

    fn resolved(&self, direction: impl Fn(Span) -> Span) -> anyhow::Result<String> {
        let at = match self {
            Self::At(at) => *at,
            Self::Stretch(span) => now().to_zoned(TimeZone::UTC).checked_add(direction(*span))?.timestamp(),
        };
        Ok(Timestamp::from_second(at.as_second())?.to_string())
    }
}

/// The time now, in whole seconds.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(Clock::System.now().seconds()).unwrap_or_default()
}

/// `3 min ago`, `in 29 days`; other text as it is.
pub(super) fn relative(time: &str, now: Timestamp) -> String {
    let Ok(at) = time.parse::<Timestamp>() else { return time.to_owned() };
    let distance = at.duration_since(now);
    let length = length(distance.abs());
    match distance {
        _ if length.is_empty() => "just now".to_owned(),
        past if past.is_negative() => format!("{length} ago"),
        _ => format!("in {length}"),
    }
}

/// The largest unit alone, rounded: a list is looked over, not calculated with.
fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let rounded = |unit: i64| (seconds + unit / 2) / unit;
    let plural = |count: i64, unit: &str| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
    match seconds {
        0..5 => String::new(),
        5..60 => format!("{seconds} s"),
        60..3_570 => format!("{} min", rounded(60)),
        3_570..84_600 => format!("{} h", rounded(3_600)),
        84_600..63_028_800 => plural(rounded(86_400), "day"),
        _ => plural(rounded(31_536_000), "year"),
    }
}

/// `2026-11-21 20:55:23`, in UTC, for logs.
pub(super) fn plain(time: &str) -> String {
    time.trim_end_matches('Z').replacen('T', " ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        for (time, told) in [
            ("2026-11-21T12:00:02Z", "just now"),
            ("2026-11-21T11:59:30Z", "30 s ago"),
            ("2026-11-21T11:57:00Z", "3 min ago"),
            ("2026-11-21T14:00:00Z", "in 2 h"),
            ("2026-11-21T11:00:20Z", "1 h ago"),
            ("2026-11-20T11:00:00Z", "1 day ago"),
            ("2026-11-20T12:25:00Z", "1 day ago"),
            ("2026-12-21T11:59:59Z", "in 30 days"),
            ("2029-11-21T12:00:00Z", "in 3 years"),
            ("", ""),
        ] {
            assert_eq!(relative(time, now), told, "{time:?}");
        }
    }

    #[test]
    fn times_are_written_in_three_ways() {
        assert_eq!(When::parse("2027-01-31").unwrap().ahead().unwrap(), "2027-01-31T00:00:00Z");
        assert_eq!(When::parse("2027-01-31T12:00:00+01:00").unwrap().back().unwrap(), "2027-01-31T11:00:00Z");
        let (ahead, back) =
            (When::parse("30d").unwrap().ahead().unwrap(), When::parse("30d").unwrap().back().unwrap());
        assert!(back < now().to_string() && now().to_string() < ahead);
        for text in ["", "30", "-30d", "tomorrow", "0d", "2027-13-01"] {
            assert!(When::parse(text).is_err(), "{text:?}");
        }
    }
}

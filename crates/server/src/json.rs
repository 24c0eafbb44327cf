//! How values look on the wire (CONTRACT §0.1).

use keygate_model::Timestamp;

/// A time, `2021-01-14T11:47:46Z`.
pub(crate) fn time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.seconds()).unwrap_or_default();
    at.to_string()
}

/// A time as `POST /sudo` alone writes it, `2021-01-14T11:52:45+00:00`.
pub(crate) fn time_with_offset(at: Timestamp) -> String {
    let text = time(at);
    format!("{}+00:00", text.strip_suffix('Z').unwrap_or(&text))
}

/// Reads an ISO 8601 time with an offset or `Z`. Whole seconds count; a fraction is dropped.
pub(crate) fn read_time(text: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = text.parse().ok()?;
    Some(Timestamp::from_seconds(at.as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_recorded_ones() {
        let at = read_time("2016-07-28T19:24:50+00:00").unwrap();
        assert_eq!(time(at), "2016-07-28T19:24:50Z");
        assert_eq!(time_with_offset(at), "2016-07-28T19:24:50+00:00");
        for text in ["", "1469733890", "2016-07-28", "2016-07-28T19:24:50", "tomorrow", "-1"] {
            assert_eq!(read_time(text), None, "{text:?}");
        }
    }
}

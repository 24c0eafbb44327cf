//! Words that people give to things.

use keygate_model::Timestamp;

use crate::fault::Fault;

/// The longest name, in bytes.
const NAME_LEN_MAX: usize = 255;

/// A name: something to read, without control characters, which would lie in logs and terminals.
pub(crate) fn name(what: &str, text: &str) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::invalid("name_invalid", format!("{what} can't be blank")));
    }
    comment(what, text)
}

/// The same, and it may be empty.
pub(crate) fn comment(what: &str, text: &str) -> Result<String, Fault> {
    if text.len() > NAME_LEN_MAX {
        return Err(Fault::invalid(
            "name_invalid",
            format!("{what} is too long: {NAME_LEN_MAX} bytes at most"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Fault::invalid("name_invalid", format!("{what} holds a control character")));
    }
    Ok(text.to_owned())
}

/// A time for the audit log, as RFC 3339 writes it; as microseconds where that cannot.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.micros())
        .map_or_else(|_| at.micros().to_string(), |at| at.to_string())
}

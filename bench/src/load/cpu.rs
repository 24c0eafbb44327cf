//! CPU time spent, as the kernel accounts for it. Loopback work in the kernel is charged to whoever sends.

use std::time::Duration;
use std::{fs, io};

/// What this thread has spent, to about a scheduler tick.
pub(crate) fn own() -> io::Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
    nanos.map(Duration::from_nanos).ok_or_else(|| unreadable("/proc/thread-self/schedstat"))
}

/// What all threads of a process have spent, those that ended included; not its children.
pub(crate) fn of(pid: u32) -> io::Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path)?;
    ticks(&text).map(|ticks| Duration::from_millis(ticks * TICK_MS)).ok_or_else(|| unreadable(&path))
}

/// utime and stime: the 14th and 15th field, after a name that may itself hold blanks and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

fn unreadable(path: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{path} does not read as expected"))
}

/// USER_HZ is 100 on every Linux that Rust runs on.
const TICK_MS: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 9 0 0 0 120 34 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (short) S 1"), None);
    }

    #[test]
    fn both_figures_can_be_read_here() {
        assert!(own().is_ok());
        assert!(of(std::process::id()).is_ok());
        assert!(of(u32::MAX).is_err());
    }
}

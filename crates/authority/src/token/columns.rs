//! How the columns of a token are written.

use keygate_model::{ServiceId, Services, Timestamp};

/// In integer columns: no such time. A word of its own, so that a lost value is not one.
pub(super) const NEVER: i64 = i64::MAX;

pub(super) fn stored_time(time: Option<Timestamp>) -> i64 {
    time.map_or(NEVER, Timestamp::micros)
}

pub(super) fn read_time(micros: i64) -> Option<Timestamp> {
    (micros != NEVER).then_some(Timestamp::from_micros(micros))
}

/// `*` for all, else the ids, separated by a space.
pub(super) fn stored_services(services: &Services) -> String {
    match services {
        Services::All => "*".to_owned(),
        Services::Only(_) => services.listed().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}

pub(super) fn read_services(text: &str) -> Option<Services> {
    if text == "*" {
        return Some(Services::All);
    }
    let ids: Option<Vec<ServiceId>> = text.split(' ').map(|id| id.parse().ok()).collect();
    Services::only(ids?).ok()
}

pub(super) fn id_bytes(id: Option<&[u8; 16]>) -> &[u8] {
    id.map_or(&[], |id| &id[..])
}

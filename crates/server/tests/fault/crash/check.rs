//! Holds what was told against what is there. Returns differences rather than panics, so that the negative control can
//! show that they are found.

use std::collections::{HashMap, HashSet};

use keygate_model::{ServiceId, TokenId, UserId};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

use super::{
    guesses::{LOCK, Target},
    storm::{Fate, Ledger},
};
use crate::{
    clock::Chance,
    house::{House, text},
    http::{Ask, Client},
};

type Bytes = [u8; 16];

/// What a database says.
pub(crate) struct Found {
    /// Tokens, and whether each is revoked.
    tokens: HashMap<Bytes, bool>,
    services: HashSet<Bytes>,
    /// Events by kind and subject.
    events: HashMap<(String, Bytes), u32>,
    /// Wrong codes in a row, by user.
    failures: HashMap<Bytes, u32>,
}

impl Found {
    pub(crate) fn read(photograph: &House) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let db = Connection::open_with_flags(&photograph.db, flags).unwrap();
        let never = i64::MAX;
        let tokens = "SELECT id, revoked_at <> $1 FROM tokens";
        let events =
            "SELECT kind, subject_id, count(*) FROM events WHERE subject_id IS NOT NULL GROUP BY 1, 2";
        Self {
            tokens: rows(&db, tokens, [never], |row| Ok((row.get(0)?, row.get(1)?))),
            services: rows(&db, "SELECT id FROM services", [], |row| row.get(0)),
            events: rows(&db, events, [], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))),
            failures: rows(&db, "SELECT id, factor_failures FROM users", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            }),
        }
    }

    fn count(&self, kind: &str, subject: Bytes) -> u32 {
        self.events.get(&(kind.to_owned(), subject)).copied().unwrap_or(0)
    }

    /// What was told to a writer and is not there.
    pub(crate) fn missing(&self, ledger: &Ledger) -> Vec<String> {
        let mut missing = Vec::new();
        for token in &ledger.tokens {
            let id = token.id.parse::<TokenId>().unwrap().to_bytes();
            let revoked = self.tokens.get(&id);
            if revoked.is_none() || (token.fate == Fate::Revoked && revoked != Some(&true)) {
                missing
                    .push(format!("token {} was told to be {:?}, and is {revoked:?}", token.id, token.fate));
            }
            if self.count("token.create", id) != 1
                || (token.fate == Fate::Revoked && self.count("token.destroy", id) != 1)
            {
                missing.push(format!("token {}: no event of what was told", token.id));
            }
        }
        for service in &ledger.services {
            let id = service.parse::<ServiceId>().unwrap().to_bytes();
            if !self.services.contains(&id) || self.count("service.create", id) != 1 {
                missing.push(format!("service {service} was told to be made"));
            }
        }
        missing
    }

    /// What is there by half: a row without its event, an event without its row.
    pub(crate) fn halves(&self) -> Vec<String> {
        let mut halves = Vec::new();
        let mut whole = |what: &str, row: bool, event: u32| {
            if u32::from(row) != event {
                halves.push(format!("{what}: row {row}, events {event}"));
            }
        };
        for (id, revoked) in &self.tokens {
            whole("token", true, self.count("token.create", *id));
            whole("revocation", *revoked, self.count("token.destroy", *id));
        }
        for id in &self.services {
            whole("service", true, self.count("service.create", *id));
        }
        for ((kind, id), count) in &self.events {
            match kind.as_str() {
                "token.create" => whole("event of a token", self.tokens.contains_key(id), *count),
                "service.create" => whole("event of a service", self.services.contains(id), *count),
                _ => {}
            }
        }
        halves
    }

    /// Guesses that were told to be wrong and are not counted, or counted and never made.
    pub(crate) fn miscounted(&self, target: &Target) -> Option<String> {
        let id = target.person.id.parse::<UserId>().unwrap().to_bytes();
        let events = self.count("user.login_failure", id);
        let failures = self.failures.get(&id).copied();
        let Target { tried, told, .. } = target;
        let events_fit = (*told..=*tried).contains(&events);
        let counter_fits = match target.factor {
            Some(_) => failures.is_some_and(|failures| (*told.min(&LOCK)..=*tried).contains(&failures)),
            None => true,
        };
        let odd = !events_fit || !counter_fits;
        odd.then(|| {
            format!(
                "{}: tried {tried}, told {told}, events {events}, counter {failures:?}",
                target.person.login
            )
        })
    }
}

/// A query's rows.
fn rows<T, C: FromIterator<T>>(
    db: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> C {
    db.prepare(sql).unwrap().query_map(parameters, read).unwrap().map(Result::unwrap).collect()
}

/// What the audit says is off.
pub(crate) fn audit(photograph: &House) -> Option<String> {
    let told = photograph.run(&["audit", "verify", "--json"], "");
    let findings: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    let well = told.status.code() == Some(0) && findings.get("ok") == Some(&Value::Bool(true));
    (!well).then(|| format!("audit: {} {findings}", told.status))
}

/// Asks the server whether each token of the ledger authorises as was told, all from `from` on and some from before.
/// Settles what was in doubt: the answer stands from then on.
pub(crate) fn over_http(
    client: &mut Client,
    ledger: &mut Ledger,
    from: usize,
    chance: &mut Chance,
) -> Vec<String> {
    let mut odd = Vec::new();
    for (place, token) in ledger.tokens.iter_mut().enumerate() {
        let looked_at = place >= from || token.fate == Fate::InDoubt || chance.below(from) < 8;
        if !looked_at {
            continue;
        }
        let answer = client.must(&Ask::new("GET /tokens/self").key(&token.secret));
        let now = if answer.status == 401 { Fate::Revoked } else { Fate::Alive };
        let itself = answer.status != 200 || text(&answer.json(), "id") == token.id;
        if !itself
            || ![200, 401].contains(&answer.status)
            || (token.fate != Fate::InDoubt && token.fate != now)
        {
            odd.push(format!(
                "token {} was told to be {:?} and answers {}",
                token.id, token.fate, answer.status
            ));
        }
        if token.fate == Fate::InDoubt {
            token.fate = now;
        }
    }
    odd
}

/// The ids that `GET /events` tells of under one kind, all pages of it.
pub(crate) fn told_of(client: &mut Client, key: &str, kind: &str) -> HashSet<String> {
    let mut ids = HashSet::new();
    for page in 1.. {
        let line = format!(
            "GET /events?filter[event_type]={kind}&sort=created_at&page[size]=1000&page[number]={page}"
        );
        let answer = client.must(&Ask::new(&line).key(key)).json();
        let events = answer["data"].as_array().unwrap().iter();
        ids.extend(events.map(|event| text(&event["attributes"], "token_id")));
        if answer["meta"]["total_pages"].as_u64().unwrap() <= page {
            break;
        }
    }
    ids
}

//! Holds what was told against what PostgreSQL has. Tells differences rather than panics, so that the negative control can show
//! that they are found.

use std::collections::{HashMap, HashSet};

use keygate_model::TokenId;

use crate::{
    machine::Machines,
    writers::{Fate, Told},
};

/// Everything that is looked at, of one moment.
const READ: &str = "
    SELECT 'token', encode(id, 'hex'), (revoked_at <> 9223372036854775807)::text FROM tokens
    UNION ALL SELECT kind, encode(subject_id, 'hex'), '' FROM events WHERE kind LIKE 'token.%'
    UNION ALL SELECT 'events', count(*)::text, coalesce(max(position), 0)::text FROM events
    UNION ALL SELECT 'name', name, '' FROM tokens
    UNION ALL SELECT 'head', position::text, '' FROM head";

/// What the record has.
pub(crate) struct Durable {
    /// Tokens, and whether each is revoked.
    tokens: HashMap<String, bool>,
    /// How many events there are of a kind about a subject.
    events: HashMap<(String, String), u32>,
    names: HashSet<String>,
    /// How many events there are, the last position, and where the head is.
    ends: (String, String, String),
}

impl Durable {
    pub(crate) fn read(machines: &Machines, name: &str) -> Self {
        let (mut tokens, mut events) = (HashMap::new(), HashMap::new());
        let (mut names, mut ends) = (HashSet::new(), <_>::default());
        let (count, last, head): &mut (String, String, String) = &mut ends;
        for line in machines.read(name, READ).lines() {
            let [kind, id, word]: [&str; 3] = line.split('|').collect::<Vec<_>>().try_into().unwrap();
            match kind {
                "token" => drop(tokens.insert(id.to_owned(), word == "true")),
                "events" => (*count, *last) = (id.to_owned(), word.to_owned()),
                "name" => drop(names.insert(id.to_owned())),
                "head" => id.clone_into(head),
                _ => *events.entry((kind.to_owned(), id.to_owned())).or_default() += 1,
            }
        }
        Self { tokens, events, names, ends }
    }

    fn count(&self, kind: &str, id: &str) -> u32 {
        self.events.get(&(kind.to_owned(), id.to_owned())).copied().unwrap_or(0)
    }

    /// What was acknowledged and is not there.
    pub(crate) fn missing(&self, told: &[Told]) -> Vec<String> {
        let mut missing = Vec::new();
        for Told { token, fate, .. } in told {
            let bytes = token.id.parse::<TokenId>().unwrap().to_bytes();
            let id: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let (row, made, ended) =
                (self.tokens.get(&id), self.count("token.create", &id), self.count("token.destroy", &id));
            let is_there = match fate {
                Fate::Alive => (row, ended) == (Some(&false), 0),
                Fate::InDoubt => row.is_some(),
                Fate::Revoked(..) => (row, ended) == (Some(&true), 1),
            };
            if !is_there || made != 1 {
                missing.push(format!(
                    "{} was told to be {fate:?}: {row:?}, events {made} and {ended}",
                    token.id
                ));
            }
        }
        missing
    }

    /// What was told not to be made and is there.
    pub(crate) fn uncalled(&self, refused: &[String]) -> Vec<String> {
        let there = refused.iter().filter(|name| self.names.contains(*name));
        there.map(|name| format!("token {name:?} was told not to be made")).collect()
    }

    /// What is there by half: a row without its event, an event without its row, a gap.
    pub(crate) fn halves(&self) -> Vec<String> {
        let mut halves = Vec::new();
        for (id, revoked) in &self.tokens {
            let events = (self.count("token.create", id), self.count("token.destroy", id));
            if events != (1, u32::from(*revoked)) {
                halves.push(format!("token {id}, revoked {revoked}: events {events:?}"));
            }
        }
        let orphans = self.events.keys().filter(|(_, id)| !self.tokens.contains_key(id));
        halves.extend(orphans.map(|event| format!("{event:?} without a row")));
        let (count, last, head) = &self.ends;
        if count != last || last != head {
            halves.push(format!("{count} events, the last at {last}, the head at {head}"));
        }
        halves
    }

    /// How much there is.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.tokens.len(), self.tokens.values().filter(|revoked| **revoked).count())
    }
}

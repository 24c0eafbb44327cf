//! What a client may rely on in an answer: which keys there are, of what kind their values, which may be null.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a value is, as far as a client's types go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    /// `2021-01-14T11:47:46Z`
    Time,
    /// `2021-01-14T11:52:45+00:00`
    TimeWithOffset,
    Link,
    Text,
    Array,
    Object,
}

/// What was seen at every place of some answers. A place is written `[].versions[].number`.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    kinds: BTreeMap<String, BTreeSet<Kind>>,
    /// The keys of every object.
    keys: BTreeMap<String, BTreeSet<BTreeSet<String>>>,
    /// Whether an array was empty, whether one was not.
    arrays: BTreeMap<String, BTreeSet<bool>>,
}

/// What stands under these differs with what happened, so only that it is an object is looked at.
const OPAQUE: [&str; 1] = ["metadata"];

impl Shape {
    pub(super) fn of(value: &Value) -> Self {
        let mut shape = Self::default();
        shape.take("", value);
        shape
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (place, kinds) in other.kinds {
            self.kinds.entry(place).or_default().extend(kinds);
        }
        for (place, keys) in other.keys {
            self.keys.entry(place).or_default().extend(keys);
        }
        for (place, empty) in other.arrays {
            self.arrays.entry(place).or_default().extend(empty);
        }
    }

    /// The kinds of the values under this key, wherever it stands.
    pub(super) fn kinds_under(&self, key: &str) -> BTreeSet<Kind> {
        let there = self.kinds.iter().filter(|(place, _)| leaf(place) == key);
        there.flat_map(|(_, kinds)| kinds.iter().copied()).collect()
    }

    fn take(&mut self, place: &str, value: &Value) {
        self.kinds.entry(place.to_owned()).or_default().insert(kind(value));
        match value {
            Value::Array(items) => {
                self.arrays.entry(place.to_owned()).or_default().insert(items.is_empty());
                for item in items {
                    self.take(&format!("{place}[]"), item);
                }
            }
            Value::Object(members) if !OPAQUE.contains(&leaf(place)) => {
                self.keys.entry(place.to_owned()).or_default().insert(members.keys().cloned().collect());
                for (name, member) in members {
                    self.take(&format!("{place}.{name}"), member);
                }
            }
            _ => {}
        }
    }

    /// What in `ours` a client of `self`, the recorded answer, would stumble over. `endpoint` is what other recordings
    /// of the same endpoint show, `anywhere` tells the kinds under a key in all recordings; `is_known` says whether we
    /// may have a key that is not recorded.
    pub(super) fn compare(
        &self,
        ours: &Self,
        endpoint: &Self,
        anywhere: impl Fn(&str) -> BTreeSet<Kind>,
        is_known: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (place, sets) in &self.keys {
            let every: BTreeSet<_> = sets.iter().flatten().collect();
            for keys in ours.keys.get(place).into_iter().flatten() {
                let lacks = every
                    .iter()
                    .filter(|key| sets.iter().all(|set| set.contains(**key)) && !keys.contains(**key));
                wrong.extend(lacks.map(|key| format!("{place} lacks the key {key}")));
                let more = keys.iter().filter(|key| !every.contains(key) && !is_known(key));
                wrong.extend(more.map(|key| format!("{place} has the key {key}, which is not recorded")));
            }
        }
        for (place, kinds) in &ours.kinds {
            let recorded = self.kinds.get(place).cloned().unwrap_or_default();
            let mut seen: BTreeSet<_> = endpoint.kinds.get(place).cloned().unwrap_or_default();
            seen.extend(&recorded);
            if seen.is_empty() && is_known(leaf(place)) {
                continue;
            }
            if seen.iter().all(|kind| *kind == Kind::Null) {
                seen.extend(anywhere(leaf(place)));
            }
            let odd = kinds.difference(&seen);
            wrong.extend(odd.map(|kind| format!("{place} is {kind:?}; recorded are {seen:?}")));
        }
        for (place, empty) in &self.arrays {
            if !empty.contains(&true) && ours.arrays.get(place).is_some_and(|ours| ours.contains(&true)) {
                wrong.push(format!("{place} is an empty array, never recorded so here: arrange something"));
            }
        }
        wrong
    }
}

fn leaf(place: &str) -> &str {
    place.rsplit(['.', ']']).next().unwrap_or_default()
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Null => Kind::Null,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_) => Kind::Number,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
        Value::String(text) if text.starts_with("http") => Kind::Link,
        Value::String(text) => match digitless(text).as_str() {
            "0000-00-00T00:00:00Z" => Kind::Time,
            "0000-00-00T00:00:00+00:00" => Kind::TimeWithOffset,
            _ => Kind::Text,
        },
    }
}

/// A text with every digit 0.
fn digitless(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter }).collect()
}

/// A message with its ids and times taken out, so that two of them can be compared.
pub(super) fn message(value: &Value) -> Option<String> {
    let word = |word: &str| match word.trim_matches('\'') {
        id if id.len() >= 20 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => word.replace(id, "ID"),
        time if digitless(time) == "0000-00-00T00:00:00Z" => "TIME".to_owned(),
        _ => word.to_owned(),
    };
    Some(value.as_str()?.split(' ').map(word).collect::<Vec<_>>().join(" "))
}

/// Text with numbers and hosts taken out: what is left of a link, or of a body whose blanks matter.
pub(super) fn skeleton(text: &str) -> String {
    let mut left = String::new();
    for part in text.split("https://api.fastly.com") {
        left.push_str(part);
    }
    let mut numberless = String::new();
    for letter in left.chars() {
        match letter.is_ascii_digit() || letter == '-' {
            true if numberless.ends_with('0') => {}
            true => numberless.push('0'),
            false => numberless.push(letter),
        }
    }
    numberless
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is wrong with an answer, where `[recorded]` was recorded and nothing else.
    fn compared(ours: &Value) -> Vec<String> {
        let recorded = json!([
            { "id": "a", "at": "2021-01-14T11:47:46Z", "gone": null, "list": ["x"], "one": null },
            { "id": "b", "at": "2021-01-14T11:47:46Z", "gone": null, "list": ["y"], "one": 1 },
        ]);
        let recorded = Shape::of(&recorded);
        recorded.compare(
            &Shape::of(ours),
            &recorded,
            |_| [Kind::Null, Kind::Bool].into(),
            |key| key == "code",
        )
    }

    #[test]
    fn a_difference_that_a_client_would_see_is_seen() {
        let fine = json!({ "id": "c", "at": "2026-12-31T00:00:00Z", "gone": null, "list": ["z"], "one": 2 });
        assert_eq!(compared(&json!([fine])), [""; 0]);
        for (key, value, wrong) in [
            ("one", json!(null), ""),
            ("gone", json!(true), ""),
            ("code", json!("new"), ""),
            ("id", json!(null), "[].id is Null; recorded are {Text}"),
            ("id", json!(1), "[].id is Number; recorded are {Text}"),
            ("gone", json!("x"), "[].gone is Text; recorded are {Null, Bool}"),
            ("at", json!("2026-12-31T00:00:00+00:00"), "[].at is TimeWithOffset; recorded are {Time}"),
            ("at", json!(""), "[].at is Text; recorded are {Time}"),
            ("list", json!([]), "[].list is an empty array, never recorded so here: arrange something"),
            ("list", json!([1]), "[].list[] is Number; recorded are {Text}"),
            ("list", json!({}), "[].list is Object; recorded are {Array}"),
        ] {
            let mut odd = fine.clone();
            odd[key] = value;
            let found = compared(&json!([odd]));
            assert_eq!(found.first().map_or("", String::as_str), wrong, "{key}");
        }
        let mut more = fine.clone();
        more["other"] = json!(1);
        assert_eq!(compared(&json!([more]))[0], "[] has the key other, which is not recorded");
        assert_eq!(compared(&json!([{}])).len(), 5, "every key is lacking");
        assert_eq!(compared(&json!({})), [" is Object; recorded are {Array}"]);
    }
}

//! The document's text, JSON or YAML, brought into one tree. Text that two parsers could read in two ways is refused.

use std::{
    cell::{Cell, RefCell},
    fmt,
};

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::ImportError;

/// Reads the whole text.
pub(super) fn document(text: &str) -> Result<Value, ImportError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(ImportError::new("the document", format!("it is larger than {TEXT_BYTES_MAX} bytes")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json = text.trim_start().starts_with('{');
    let state = State { trail: RefCell::default(), cost: Cell::new(0), json };
    let value = if json { from_json(text, &state) } else { from_yaml(text, &state) };
    value.map_err(|why| {
        let place: String = state.trail.borrow().concat().chars().take(PLACE_CHARS_MAX).collect();
        let place = place.trim_start_matches('.');
        ImportError::new(if place.is_empty() { "the document" } else { place }, why)
    })
}

fn from_json(text: &str, state: &State) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Tree(state).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|why| format!("it starts as JSON, but {why}"))
}

fn from_yaml(text: &str, state: &State) -> Result<Value, String> {
    nests_at_most(text)?;
    let value = Tree(state).deserialize(serde_norway::Deserializer::from_str(text));
    value.map_err(|why| format!("it is not JSON, and as YAML: {why}"))
}

/// The time that the YAML reader takes grows with the square of how deep brackets nest, before it says a word.
fn nests_at_most(text: &str) -> Result<(), String> {
    let openings = text.bytes().fold((0usize, 0usize), |(depth, deepest), byte| match byte {
        b'[' | b'{' => (depth + 1, deepest.max(depth + 1)),
        b']' | b'}' => (depth.saturating_sub(1), deepest),
        _ => (depth, deepest),
    });
    if openings.1 > BRACKETS_MAX { Err("it is nested too deeply".to_owned()) } else { Ok(()) }
}

/// How far the reading is: where, and what the tree weighs by now. Aliases count each time, so that a short text cannot
/// become a large tree.
struct State {
    trail: RefCell<Vec<String>>,
    cost: Cell<usize>,
    json: bool,
}

impl State {
    fn spend<E: de::Error>(&self, bytes: usize) -> Result<(), E> {
        self.cost.set(self.cost.get() + NODE_BYTES + bytes);
        if self.cost.get() > TREE_BYTES_MAX {
            return Err(E::custom("it unfolds into too much: aliases of aliases?"));
        }
        Ok(())
    }

    /// Runs `read` one step deeper. The step stays on the trail if that fails.
    fn within<T, E>(&self, step: String, read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.trail.borrow_mut().push(step);
        let value = read()?;
        self.trail.borrow_mut().pop();
        Ok(value)
    }
}

/// A value of any kind.
#[derive(Clone, Copy)]
struct Tree<'s>(&'s State);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value without tags")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        self.0.spend(0).map(|()| Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.to_string().into())
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.to_string().into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        self.0.spend(0).map(|()| value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        self.0.spend(value.len()).map(|()| value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        self.0.spend(0).map(|()| Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        self.deserialize(reader)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = self.0.within(format!("[{}]", list.len()), || items.next_element_seed(self))? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            self.0.spend(key.len())?;
            let value = self.0.within(format!(".{key}"), || {
                if map.contains_key(&key) {
                    return Err(de::Error::custom("the same key stands here twice"));
                }
                if key == "<<" && !self.0.json {
                    return Err(de::Error::custom("YAML 1.2 has no merge with `<<`: write it out"));
                }
                entries.next_value_seed(self)
            })?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// A key of a map. YAML lets statuses be numbers.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<String, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key that is a word or a number")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<String, E> {
        Ok(key.to_owned())
    }

    fn visit_bool<E: de::Error>(self, key: bool) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_i64<E: de::Error>(self, key: i64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_u64<E: de::Error>(self, key: u64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_f64<E: de::Error>(self, key: f64) -> Result<String, E> {
        Ok(key.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }
}

const TEXT_BYTES_MAX: usize = 16 << 20;
const TREE_BYTES_MAX: usize = 256 << 20;
const PLACE_CHARS_MAX: usize = 200;
const BRACKETS_MAX: usize = 1000;
/// About what a value takes beside its text.
const NODE_BYTES: usize = 64;

//! A value of the document and the place where it stands, so that whatever is wrong with it can be named.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::ImportError;

/// A value and its place.
#[derive(Clone)]
pub(super) struct At<'d> {
    document: &'d Value,
    value: &'d Value,
    pub(super) place: String,
}

impl<'d> At<'d> {
    pub(super) fn root(document: &'d Value) -> Self {
        Self { document, value: document, place: String::new() }
    }

    pub(super) fn wrong(&self, why: impl Into<String>) -> ImportError {
        let place = if self.place.is_empty() { "the document" } else { &self.place };
        ImportError::new(place, why)
    }

    /// What stands under a key of this object, if anything does.
    pub(super) fn get(&self, key: &str) -> Result<Option<Self>, ImportError> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("this is not an object"))?;
        Ok(map.get(key).map(|value| self.below(key, value)))
    }

    /// The entries of this object.
    pub(super) fn entries(&self) -> Result<Vec<(&'d str, Self)>, ImportError> {
        let map = self.value.as_object().ok_or_else(|| self.wrong("this is not an object"))?;
        Ok(map.iter().map(|(key, value)| (key.as_str(), self.below(key, value))).collect())
    }

    /// The items of this list.
    pub(super) fn items(&self) -> Result<Vec<Self>, ImportError> {
        let list = self.value.as_array().ok_or_else(|| self.wrong("this is not a list"))?;
        let item = |(at, value)| Self { value, place: format!("{}[{at}]", self.place), ..self.clone() };
        Ok(list.iter().enumerate().map(item).collect())
    }

    pub(super) fn text(&self) -> Result<&'d str, ImportError> {
        self.value.as_str().ok_or_else(|| self.wrong("this is not text"))
    }

    /// Whatever it is, for people to read: documents write `version: 1.0`, which is a number.
    pub(super) fn shown(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }

    pub(super) fn flag(&self) -> Result<bool, ImportError> {
        self.value.as_bool().ok_or_else(|| self.wrong("this is neither true nor false"))
    }

    pub(super) fn is_false(&self) -> bool {
        self.value == &Value::Bool(false)
    }

    /// Text under a key, if anything is there.
    pub(super) fn text_of(&self, key: &str) -> Result<Option<&'d str>, ImportError> {
        self.get(key)?.map(|found| found.text()).transpose()
    }

    /// A flag under a key, if anything is there.
    pub(super) fn flag_of(&self, key: &str) -> Result<Option<bool>, ImportError> {
        self.get(key)?.map(|found| found.flag()).transpose()
    }

    /// What this refers to with `$ref`, or this.
    pub(super) fn resolved(self) -> Result<Self, ImportError> {
        let mut found = self;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = found.get("$ref")? else { return Ok(found) };
            found = found.referred(&reference)?;
        }
        Err(found.wrong("this `$ref` leads to another, and so on, without an end"))
    }

    /// The place where it is used stays its name; where it stands is said behind.
    fn referred(&self, reference: &Self) -> Result<Self, ImportError> {
        let target = reference.text()?;
        let Some(pointer) = target.strip_prefix('#') else {
            return Err(reference.wrong(format!(
                "{target:?} is outside of this document: bundle it into one before it is imported"
            )));
        };
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        let value = self.document.pointer(&pointer).filter(|_| pointer.starts_with('/'));
        let value = value.ok_or_else(|| reference.wrong(format!("{target:?} is not in this document")))?;
        Ok(Self { document: self.document, value, place: format!("{} → {target}", self.place) })
    }

    fn below(&self, key: &str, value: &'d Value) -> Self {
        let dot = if self.place.is_empty() { "" } else { "." };
        Self { document: self.document, value, place: format!("{}{dot}{key}", self.place) }
    }
}

const REFERENCES_MAX: usize = 16;

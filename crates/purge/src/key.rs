//! Surrogate keys: the labels that an origin puts on what it serves.

use std::fmt;

/// The limits are Fastly's.
const KEY_LEN_MAX: usize = 1024;
const KEYS_MAX: usize = 256;
const HEADER_LEN_MAX: usize = 16_384;

/// One surrogate key: 1 to 1024 visible ASCII characters. Keys that differ in case are different keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(String);

/// Why a text is not a [`Key`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotKey {
    #[error("a surrogate key cannot be empty")]
    Empty,
    #[error("a surrogate key has at most {KEY_LEN_MAX} characters")]
    TooLong,
    #[error("a surrogate key is made of visible ASCII characters, without spaces")]
    Character,
}

impl Key {
    #[expect(missing_docs, reason = "the type says it")]
    pub fn parse(raw: &str) -> Result<Self, NotKey> {
        match raw.len() {
            0 => Err(NotKey::Empty),
            1..=KEY_LEN_MAX if raw.bytes().all(|b| b.is_ascii_graphic()) => Ok(Self(raw.to_owned())),
            1..=KEY_LEN_MAX => Err(NotKey::Character),
            _ => Err(NotKey::TooLong),
        }
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The keys of one purge, 1 to 256: an empty list never means "all".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Vec<Key>);

/// Why a list is not [`Keys`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotKeys {
    #[error("name at least one surrogate key")]
    None,
    #[error("name at most {KEYS_MAX} surrogate keys at once")]
    TooMany,
    #[error("a Surrogate-Key header has at most {HEADER_LEN_MAX} characters")]
    HeaderTooLong,
    #[error(transparent)]
    Key(#[from] NotKey),
}

impl Keys {
    /// Checks the number of keys.
    pub fn new(keys: Vec<Key>) -> Result<Self, NotKeys> {
        match keys.len() {
            0 => Err(NotKeys::None),
            1..=KEYS_MAX => Ok(Self(keys)),
            _ => Err(NotKeys::TooMany),
        }
    }

    /// The value of a `Surrogate-Key` header: keys with spaces between them.
    pub fn from_header(value: &str) -> Result<Self, NotKeys> {
        if value.len() > HEADER_LEN_MAX {
            return Err(NotKeys::HeaderTooLong);
        }
        let words = value.split([' ', '\t']).filter(|word| !word.is_empty());
        Self::new(words.map(Key::parse).collect::<Result<_, _>>()?)
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn iter(&self) -> std::slice::Iter<'_, Key> {
        self.0.iter()
    }
}

impl From<Key> for Keys {
    fn from(key: Key) -> Self {
        Self(vec![key])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
        for raw in ["a", "product/7:de", "50%,off", &"k".repeat(1024)] {
            assert_eq!(Key::parse(raw).expect(raw).as_str(), raw);
        }
        for (raw, why) in [
            ("", NotKey::Empty),
            (&"k".repeat(1025), NotKey::TooLong),
            ("a b", NotKey::Character),
            ("a\n", NotKey::Character),
            ("ä", NotKey::Character),
        ] {
            assert_eq!(Key::parse(raw), Err(why), "{raw:?}");
        }
    }

    #[test]
    fn a_header_is_a_list_of_keys() {
        let keys = Keys::from_header("  red  blue\tred ").expect("keys");
        assert_eq!(keys.iter().map(Key::as_str).collect::<Vec<_>>(), ["red", "blue", "red"]);
        assert_eq!(Keys::from_header(" "), Err(NotKeys::None));
        assert_eq!(Keys::from_header("a ü"), Err(NotKeys::Key(NotKey::Character)));
        assert!(Keys::from_header(&"k ".repeat(256)).is_ok());
        assert_eq!(Keys::from_header(&"k ".repeat(257)), Err(NotKeys::TooMany));
        assert_eq!(Keys::from_header(&" ".repeat(16_385)), Err(NotKeys::HeaderTooLong));
    }
}

//! A host name that a cache serves.

use std::fmt;

/// The longest host name that DNS can carry.
const LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// A host name: lower case, no port, no dot at the end. `keygate.vcl` brings the `Host` of a request into the same
/// spelling, so that both sides index and purge by the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

/// Why a text is not a [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what it is")]
pub enum NotDomain {
    #[error("a host name cannot be empty")]
    Empty,
    #[error("a host name has at most {LEN_MAX} characters")]
    TooLong,
    #[error("a host name is written without a port")]
    Port,
    #[error("`{0}` cannot be in a host name; write an international name in its xn-- form")]
    Character(char),
    #[error("the parts of a host name have 1 to {LABEL_LEN_MAX} characters and no hyphen at either end")]
    Label,
}

impl Domain {
    /// Lower-cases; repairs nothing else.
    pub fn parse(raw: &str) -> Result<Self, NotDomain> {
        if raw.is_empty() {
            return Err(NotDomain::Empty);
        }
        if raw.len() > LEN_MAX {
            return Err(NotDomain::TooLong);
        }
        match raw.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.".contains(*c)) {
            Some(':') => Err(NotDomain::Port),
            Some(other) => Err(NotDomain::Character(other)),
            None if raw.split('.').all(is_label) => Ok(Self(raw.to_ascii_lowercase())),
            None => Err(NotDomain::Label),
        }
    }

    #[expect(missing_docs, reason = "a getter")]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_LEN_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_lower_cased_and_nothing_else() {
        for (raw, want) in [("Shop.Example", "shop.example"), ("a_b.x", "a_b.x"), ("127.0.0.1", "127.0.0.1")]
        {
            assert_eq!(Domain::parse(raw).expect(raw).as_str(), want);
        }
    }

    #[test]
    fn what_is_not_a_host_name_is_refused() {
        let long = format!("{}.x", "a".repeat(64));
        for (raw, why) in [
            ("", NotDomain::Empty),
            ("shop.example:80", NotDomain::Port),
            ("shop.example.", NotDomain::Label),
            ("a..b", NotDomain::Label),
            ("-a.b", NotDomain::Label),
            (&long, NotDomain::Label),
            (&"a.".repeat(127), NotDomain::TooLong),
            ("shop.example/x", NotDomain::Character('/')),
            ("shop.example,b", NotDomain::Character(',')),
            ("bücher.example", NotDomain::Character('ü')),
            ("a b", NotDomain::Character(' ')),
        ] {
            assert_eq!(Domain::parse(raw), Err(why), "{raw}");
        }
    }
}

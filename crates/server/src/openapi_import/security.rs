//! What an operation asks for under `security`.

use std::collections::{BTreeMap, BTreeSet};

use super::{ImportError, Warning, place::At};

/// What the document asks for, as sets of scopes: whoever has all of one set may.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Security {
    /// Whether the operation itself says that it does without: `[]`, or `{}` among the alternatives.
    pub(super) open: bool,
    /// An empty set is a credential without a word about scopes.
    alternatives: Vec<BTreeSet<String>>,
}

impl Security {
    /// The sets that can be written as scopes of a policy. One that asks for no scope is none of them: a token is not
    /// let in by its other scopes.
    pub(super) fn sets(&self) -> impl Iterator<Item = &BTreeSet<String>> {
        let sets = self.alternatives.iter();
        sets.filter(|set| !set.is_empty() && set.iter().all(|name| can_be_a_scope(name)))
    }

    /// Whether whoever has these scopes, and no others, has what it takes.
    pub(super) fn is_met_by(&self, scopes: &BTreeSet<String>) -> bool {
        self.sets().any(|set| set.is_subset(scopes))
    }

    /// In words, for the policy's comments and to compare with at the next import. Nothing if nothing is stated.
    pub(super) fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for set in &self.alternatives {
            words.push(if set.is_empty() { "any credential".to_owned() } else { joined(set) });
        }
        if self.open {
            words.push("none".to_owned());
        }
        words.sort_unstable();
        words.dedup();
        words.join(" or ")
    }
}

/// Where `security` stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    OnTheOperation,
    AtTheTop,
}

/// Reads a list of alternatives.
pub(super) fn security(
    at: &At<'_>,
    stands: Stands,
    schemes: &BTreeSet<String>,
    warnings: &mut Vec<Warning>,
) -> Result<Security, ImportError> {
    let items = at.items()?;
    let mut read = Security { open: items.is_empty(), alternatives: Vec::new() };
    for item in items {
        let needs = item.entries()?;
        read.open |= needs.is_empty();
        let mut set = BTreeSet::new();
        for (scheme, scopes) in &needs {
            if !schemes.contains(*scheme) {
                let what = format!("{scheme:?} stands not under components.securitySchemes");
                warnings.push(Warning { place: scopes.place.clone(), what });
            }
            for scope in scopes.items()? {
                let name = scope.text()?;
                if !can_be_a_scope(name) {
                    let what =
                        format!("{name:?} cannot be the name of a scope, so no scope has what asks for it");
                    warnings.push(Warning { place: scope.place.clone(), what });
                }
                set.insert(name.to_owned());
            }
        }
        if !needs.is_empty() {
            read.alternatives.push(set);
        }
    }
    if stands == Stands::AtTheTop && read.open {
        let what = "this would open the whole API, and is not taken so: operations without a `security` of their own \
                    need a credential";
        warnings.push(Warning { place: at.place.clone(), what: what.to_owned() });
        read.open = false;
    }
    Ok(read)
}

/// The name of the scope that stands for having all of these.
pub(super) fn joined(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join("+")
}

/// The names of the schemes that the document defines.
pub(super) fn schemes(root: &At<'_>) -> Result<BTreeSet<String>, ImportError> {
    let Some(components) = root.get("components")? else { return Ok(BTreeSet::new()) };
    let Some(schemes) = components.get("securitySchemes")? else { return Ok(BTreeSet::new()) };
    Ok(schemes.entries()?.into_iter().map(|(name, _)| name.to_owned()).collect())
}

/// The scopes of a policy, by the sets of the document's scopes that they stand for.
pub(super) fn scope_names(
    sets: BTreeSet<&BTreeSet<String>>,
    policy: &str,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<String, BTreeSet<String>> {
    let (single, several): (Vec<_>, Vec<_>) = sets.into_iter().partition(|set| set.len() == 1);
    let mut names = BTreeMap::new();
    for set in single.into_iter().chain(several) {
        let mut name = joined(set);
        if KEYGATES_OWN.contains(&name.as_str()) {
            let what = format!("{name:?} is a scope of Keygate's own: this one is \"{policy}:{name}\"");
            warnings.push(Warning { place: "security".to_owned(), what });
            name = format!("{policy}:{name}");
        }
        while names.contains_key(&name) {
            name.push('+');
        }
        if name.len() > SCOPE_BYTES_MAX {
            let what = format!("{name:?} is too long for the name of a scope: no scope has what asks for it");
            warnings.push(Warning { place: "security".to_owned(), what });
            continue;
        }
        names.insert(name, set.clone());
    }
    names
}

/// What a policy takes as the name of a scope. It has no spaces: they stand between scopes.
fn can_be_a_scope(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/+-".contains(&byte);
    !name.is_empty() && name.len() <= SCOPE_BYTES_MAX && name.bytes().all(plain)
}

const SCOPE_BYTES_MAX: usize = 128;

/// Tokens have these scopes already, for Keygate's own API. Another API must not give them a second meaning.
const KEYGATES_OWN: [&str; 7] =
    ["feed", "global", "global:read", "introspect", "purge_select", "purge_all", "automation_token:mint"];

#[cfg(test)]
mod tests {
    use keygate_model::policy::{OWN_POLICY, Policy};

    use super::*;

    #[test]
    fn keygates_own_scopes_are_known() {
        let own = Policy::compile(OWN_POLICY).unwrap();
        assert_eq!(
            own.scope_names().into_iter().collect::<BTreeSet<_>>(),
            KEYGATES_OWN.into_iter().collect()
        );
    }

    #[test]
    fn a_joined_name_does_not_take_the_place_of_one_that_is_there() {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let (joined, plain) = (set(&["a", "b"]), set(&["a+b"]));
        let names = scope_names([&joined, &plain].into_iter().collect(), "shop", &mut Vec::new());
        assert_eq!(names["a+b"], plain);
        assert_eq!(names["a+b+"], joined);
    }
}

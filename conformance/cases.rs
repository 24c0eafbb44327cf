//! The cases of this directory as types, for every runner that judges by them: README.md beside this file has the
//! format. Include it as a module; it knows the model and nothing else.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use keygate_model::{Timestamp, authorization::Permission, token::Kind, user::UserState};
use serde::{Deserialize, Deserializer, de::Error};

/// One file: what is true, and what follows from it. Every case starts from the facts again.
pub(crate) struct CaseFile {
    /// The file's name, for messages.
    pub(crate) name: String,
    pub(crate) facts: Facts,
    pub(crate) cases: Vec<Case>,
}

/// What is true when a case is judged. Names are unique in a file, whatever they name.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// The time of every ask.
    pub(crate) at: Timestamp,
    /// The gate has not heard from the authority for too long.
    pub(crate) stale: bool,
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) services: BTreeMap<String, Service>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Customer {
    #[serde(default)]
    pub(crate) suspended: bool,
    /// Where its tokens may be used from, as the wire has it. None: anywhere.
    pub(crate) networks: Option<String>,
    /// The names of the actions that it has switched off.
    #[serde(default)]
    pub(crate) forbids: Vec<String>,
    /// It wants a second factor of its people.
    #[serde(default)]
    pub(crate) force_2fa: bool,
    /// The gate has not been told of it.
    #[serde(default)]
    pub(crate) unheard: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) customer: String,
    pub(crate) role: String,
    #[serde(default = "active", deserialize_with = "user_state")]
    pub(crate) state: UserState,
    /// What they may do on which service. None: they are not limited to services.
    pub(crate) limited: Option<BTreeMap<String, Permission>>,
    #[serde(default)]
    pub(crate) second_factor: bool,
    /// The gate has not been told of them.
    #[serde(default)]
    pub(crate) unheard: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) customer: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub(crate) owner: Owner,
    pub(crate) scope: String,
    /// None: all.
    pub(crate) services: Option<Vec<String>>,
    #[serde(default, deserialize_with = "some_time")]
    pub(crate) expires: Option<Timestamp>,
    #[serde(default, deserialize_with = "some_time")]
    pub(crate) sudo_until: Option<Timestamp>,
    /// Not written: what its owner implies.
    #[serde(default, deserialize_with = "some_kind")]
    pub(crate) kind: Option<Kind>,
    /// Its secret was made elsewhere.
    #[serde(default)]
    pub(crate) foreign: bool,
    #[serde(default)]
    pub(crate) revoked: bool,
}

/// Whom a token is bound to: `ada`, or `{ customer: acme, role: engineer }` for an automation token.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Owner {
    User(String),
    Customer(Automation),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Automation {
    pub(crate) customer: String,
    pub(crate) role: String,
}

/// One case: who, what, and the answer that must come.
pub(crate) struct Case {
    pub(crate) caller: Caller,
    /// From where. None: nobody knows.
    pub(crate) client: Option<IpAddr>,
    pub(crate) what: What,
    pub(crate) answer: Answer,
}

#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// Shows the secret of this token.
    Token(String),
    /// `unknown`: shows a secret that is well formed and nobody's.
    Unknown,
    /// `malformed`: shows a secret with a mistyped last character.
    Malformed,
    /// `nobody`: shows none.
    Nobody,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// `GET /service/{shop}`, as it stands in the request line; see [`fill`] for the names in braces.
    Request { method: String, path: String },
    /// `do token:revoke_any`: an action that a handler asks about and no route alone means.
    Action(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Allow,
    /// With `Deny::code`.
    Deny(String),
    /// With `Unsure::code`.
    CannotTell(String),
    /// No credential is asked for.
    Public,
}

/// Every file, in the order of their names.
pub(crate) fn load_all() -> Vec<CaseFile> {
    let place = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance"));
    let entries = fs::read_dir(place).expect("conformance/ is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry of conformance/").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    let load = |path: &Path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).map_err(|why| why.to_string());
        let file = text.and_then(|text| parse(&name, &text));
        file.unwrap_or_else(|why| panic!("conformance/{name}: {why}"))
    };
    paths.iter().map(|path| load(path)).collect()
}

/// Reads one file. Whatever it does not understand, or names and does not have, is an error.
pub(crate) fn parse(name: &str, text: &str) -> Result<CaseFile, String> {
    let file: Written = serde_norway::from_str(text).map_err(|why| why.to_string())?;
    let Written { at, stale, customers, users, services, tokens, .. } = file;
    let facts = Facts { at, stale, customers, users, services, tokens };
    facts.check()?;
    let mut cases = Vec::new();
    for line in &file.allow {
        cases.push(Case::read(line, Answer::Allow, &facts)?);
    }
    for (code, line) in each(&file.deny) {
        cases.push(Case::read(line, Answer::Deny(code.clone()), &facts)?);
    }
    for (code, line) in each(&file.cannot_tell) {
        cases.push(Case::read(line, Answer::CannotTell(code.clone()), &facts)?);
    }
    for line in &file.public {
        cases.push(Case::read(&format!("nobody {line}"), Answer::Public, &facts)?);
    }
    Ok(CaseFile { name: name.to_owned(), facts, cases })
}

/// Replaces `{shop}` by what `id_of("shop")` says: the id of a service, customer or token of that name, or for `unknown`
/// an id that nothing has. Facts come with their own names, so a runner may make its own ids.
pub(crate) fn fill(path: &str, id_of: impl Fn(&str) -> String) -> String {
    names_in(path).fold(path.to_owned(), |path, name| path.replace(&format!("{{{name}}}"), &id_of(name)))
}

impl Token {
    /// What its secret says it is.
    pub(crate) fn kind(&self) -> Kind {
        let implied = match self.owner {
            Owner::User(_) => Kind::User,
            Owner::Customer(_) => Kind::Automation,
        };
        self.kind.unwrap_or(implied)
    }
}

impl Facts {
    /// The person behind a token, if it is bound to one.
    pub(crate) fn user_of(&self, token: &Token) -> Option<&User> {
        match &token.owner {
            Owner::User(name) => Some(&self.users[name]),
            Owner::Customer(_) => None,
        }
    }

    /// The name of the customer that a token belongs to.
    pub(crate) fn customer_of<'a>(&'a self, token: &'a Token) -> &'a str {
        match &token.owner {
            Owner::User(name) => &self.users[name].customer,
            Owner::Customer(bot) => &bot.customer,
        }
    }

    /// Every name means one thing, and whatever is named is there.
    fn check(&self) -> Result<(), String> {
        let mut names: Vec<_> = self.customers.keys().chain(self.users.keys()).collect();
        names.extend(self.services.keys().chain(self.tokens.keys()));
        names.sort();
        let reserved = names.iter().find(|name| ["unknown", "malformed", "nobody"].contains(&name.as_str()));
        if let Some(name) = reserved.or(names.windows(2).find(|two| two[0] == two[1]).map(|two| &two[0])) {
            return Err(format!("the name {name:?} means two things"));
        }
        let mut customers: Vec<_> = self.users.values().map(|user| &user.customer).collect();
        customers.extend(self.services.values().map(|service| &service.customer));
        for token in self.tokens.values() {
            match &token.owner {
                Owner::User(name) => known(&self.users, name)?,
                Owner::Customer(bot) => customers.push(&bot.customer),
            }
            if token.services.as_ref().is_some_and(Vec::is_empty) {
                return Err("an empty list of services: leave it out for all".to_owned());
            }
            if token.foreign && token.kind.is_some() {
                return Err("a secret that was made elsewhere says nothing of its kind".to_owned());
            }
            token.services.iter().flatten().try_for_each(|name| known(&self.services, name))?;
        }
        for user in self.users.values() {
            user.limited.iter().flatten().try_for_each(|(name, _)| known(&self.services, name))?;
        }
        customers.into_iter().try_for_each(|name| known(&self.customers, name))
    }
}

impl Case {
    /// Reads `token METHOD /path` or `token do action`, the token with its address or without: `token@192.0.2.7`. The path is everything that remains, blanks included.
    fn read(line: &str, answer: Answer, facts: &Facts) -> Result<Self, String> {
        let mut words = line.splitn(3, ' ');
        let (Some(caller), Some(verb), Some(object)) = (words.next(), words.next(), words.next()) else {
            return Err(format!("{line:?} is not `token METHOD path`"));
        };
        let (caller, client) = match caller.split_once('@') {
            None => (caller, Some(LOCALHOST)),
            Some((caller, "nowhere")) if verb == "do" => (caller, None),
            Some((caller, address)) => {
                (caller, Some(address.parse().map_err(|_| format!("{address:?} is no address"))?))
            }
        };
        let caller = match caller {
            "unknown" => Caller::Unknown,
            "malformed" => Caller::Malformed,
            "nobody" => Caller::Nobody,
            name => {
                known(&facts.tokens, name)?;
                Caller::Token(name.to_owned())
            }
        };
        for name in names_in(object).filter(|name| *name != "unknown") {
            known(&facts.services, name)
                .or_else(|_| known(&facts.customers, name))
                .or_else(|_| known(&facts.tokens, name))?;
        }
        let what = match verb {
            "do" => What::Action(object.to_owned()),
            _ => What::Request { method: verb.to_owned(), path: object.to_owned() },
        };
        Ok(Self { caller, client, what, answer })
    }
}

/// From where a case asks that does not say.
pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What the file is about, for the reader.
    #[serde(rename = "about")]
    _about: String,
    #[serde(deserialize_with = "time")]
    at: Timestamp,
    #[serde(default)]
    stale: bool,
    customers: BTreeMap<String, Customer>,
    #[serde(default)]
    users: BTreeMap<String, User>,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    #[serde(default)]
    tokens: BTreeMap<String, Token>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    cannot_tell: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    public: Vec<String>,
}

fn each(lists: &BTreeMap<String, Vec<String>>) -> impl Iterator<Item = (&String, &String)> {
    lists.iter().flat_map(|(code, lines)| lines.iter().map(move |line| (code, line)))
}

fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('{').skip(1).filter_map(|after| after.split_once('}')).map(|(name, _)| name)
}

fn known<T>(things: &BTreeMap<String, T>, name: &str) -> Result<(), String> {
    things.contains_key(name).then_some(()).ok_or_else(|| format!("nothing is called {name:?}"))
}

fn active() -> UserState {
    UserState::Active
}

fn user_state<'de, D: Deserializer<'de>>(from: D) -> Result<UserState, D::Error> {
    let word = String::deserialize(from)?;
    UserState::of(&word).ok_or_else(|| D::Error::custom(format!("no state {word:?}")))
}

fn some_kind<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Kind>, D::Error> {
    match String::deserialize(from)?.as_str() {
        "session" => Ok(Some(Kind::Session)),
        "exchanged" => Ok(Some(Kind::Exchanged)),
        word => Err(D::Error::custom(format!(
            "no kind {word:?}; those of users and automations follow from the owner"
        ))),
    }
}

fn some_time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    time(from).map(Some)
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    read_time(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no time like 2030-01-01T00:00:00Z")))
}

/// RFC 3339 in UTC, to the microsecond.
fn read_time(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits_only = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 19 || !(1..=6).contains(&fraction.len()) || !digits_only {
        return None;
    }
    let numbers: Option<Vec<i64>> = whole.split(['-', 'T', ':']).map(|number| number.parse().ok()).collect();
    let [year, month @ 1..=12, day @ 1..=31, hour @ 0..24, minute @ 0..60, second @ 0..60] = numbers?[..]
    else {
        return None;
    };
    // The year starts in March here, so that the odd day is the last one.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    let micros: i64 = format!("{fraction:0<6}").parse().ok()?;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_microsecond() {
        let micros = |text| read_time(text).map(Timestamp::micros);
        assert_eq!(micros("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(micros("2000-02-29T23:59:59.5Z"), Some(951_868_799_500_000));
        assert_eq!(micros("2030-01-01T00:00:00.000001Z"), Some(1_893_456_000_000_001));
        for text in
            ["2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z", "2030-01-01T00:00:00.1234567Z"]
        {
            assert_eq!(micros(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        let with = |line: &str| {
            let facts = "about: x\nat: 2030-01-01T00:00:00Z\ncustomers: { acme: {} }\nservices: { shop: { customer: acme } }";
            parse("x", &format!("{facts}\n{line}")).map(|file| file.cases.len())
        };
        assert_eq!(with("allow: [unknown GET /tokens]"), Ok(1));
        for line in [
            "alow: []",
            "users: { ada: { customer: acme, role: user, sate: locked } }",
            "users: { ada: { customer: acme, role: user, state: lokced } }",
            "users: { ada: { customer: acne, role: user } }",
            "users: { shop: { customer: acme, role: user } }",
            "tokens: { key: { owner: ada, scope: global } }",
            "tokens: { key: { owner: { customer: acme, role: user, name: x }, scope: global } }",
            "tokens: { key: { owner: { customer: acme, role: user }, scope: global, services: [] } }",
            "tokens: { key: { owner: { customer: acme, role: user }, scope: global, services: [blog] } }",
            "tokens: { unknown: { owner: { customer: acme, role: user }, scope: global } }",
            "allow: [key GET /tokens]",
            "allow: [unknown GET]",
            "allow: ['unknown@ GET /tokens']",
            "allow: ['unknown@nowhere GET /tokens']",
            "users: { ada: { customer: acme, role: user, limited: { blog: full } } }",
            "users: { ada: { customer: acme, role: user, limited: { shop: all } } }",
            "allow: ['unknown GET /service/{blog}']",
        ] {
            assert!(with(line).is_err(), "{line}");
        }
    }
}

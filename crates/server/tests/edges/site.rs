//! A proxy in front of a recording API, a gate that it asks, and what must hold whatever a client sends.

use std::{collections::BTreeSet, net::Ipv4Addr, sync::Arc};

use keygate_server::ways::identity::NAMES;

use crate::{
    case::{Case, Expect},
    house::{House, Token, tokens_in},
    proxy::{Edge, Kind},
    recorder::{Hit, Recorder},
    relay::Relay,
    wire::{self, Answer, Where, free_address},
};

/// Everything that a request meets.
pub(crate) struct Site {
    pub(crate) house: Arc<House>,
    pub(crate) api: Recorder,
    pub(crate) relay: Relay,
    pub(crate) edge: Edge,
}

/// What no API behind an edge may ever see: credentials, and words that are a proxy's alone.
const NEVER: [&str; 15] = [
    "fastly-key",
    "authorization",
    "forwarded",
    "x-real-ip",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-method",
    "x-forwarded-uri",
    "x-original-method",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

impl Site {
    /// With an edge from the shipped file as it is.
    pub(crate) fn new(kind: Kind) -> Self {
        Self::with(kind, |file| file)
    }

    /// One for each of these, at one gate.
    pub(crate) fn each(kinds: [Kind; 3]) -> [Self; 3] {
        let house = Arc::new(House::new());
        kinds.map(|kind| Self::at(&house, kind, |file| file))
    }

    /// With an edge whose file has more in it.
    pub(crate) fn with(kind: Kind, edit: impl Fn(String) -> String) -> Self {
        Self::at(&Arc::new(House::new()), kind, edit)
    }

    fn at(house: &Arc<House>, kind: Kind, edit: impl Fn(String) -> String) -> Self {
        let (house, api) = (Arc::clone(house), Recorder::start());
        let relay = Relay::start(free_address(), &house.socket(kind.way()));
        let edge = Edge::start(kind, house.home.path(), &Where::Tcp(relay.at), api.at, edit);
        Self { house, api, relay, edge }
    }

    /// Sends a request: what came back, and what came through.
    pub(crate) fn ask(&self, request: &str) -> (Answer, Vec<Hit>) {
        self.ask_from(Ipv4Addr::LOCALHOST, request)
    }

    fn ask_from(&self, from: Ipv4Addr, request: &str) -> (Answer, Vec<Hit>) {
        let answer = wire::send_from(from, self.edge.at, &self.house.bytes(request));
        (answer, self.api.take())
    }

    /// Puts all cases, and says what was wrong with any.
    pub(crate) fn judge_all(&self, cases: &[Case]) {
        let wrong: Vec<String> = cases
            .iter()
            .filter_map(|case| self.judge(case).err().map(|why| format!("{}: {why}", case.what)))
            .collect();
        assert!(wrong.is_empty(), "{:?}:\n{}", self.edge.kind, wrong.join("\n"));
    }

    fn judge(&self, case: &Case) -> Result<(), String> {
        self.relay.take(self.edge.kind);
        let (answer, hits) = self.ask_from(case.from, &case.request);
        let asked = self.relay.take(self.edge.kind);
        let told = format!("{answer:?}, asked {asked:?}, came through: {hits:?}");
        let check = |is: bool, what: &str| if is { Ok(()) } else { Err(format!("{what}: {told}")) };
        let mut open = asked.iter();
        for hit in &hits {
            let is_it = |host: &str, method: &str, target: &str| {
                hit.all("host") == [host] && hit.method == method && hit.target == target
            };
            let decided = open.any(|asked| is_it(&asked.host, &asked.method, &asked.target));
            check(decided, "the API got what was not decided about")?;
            check_clean(hit, case.from, self.edge.kind).or_else(|why| check(false, &why))?;
            for name in tokens_in(&case.request) {
                let secret = self.house.token(&name).secret.as_bytes();
                let leaks = !secret.is_empty() && hit.bytes.windows(secret.len()).any(|part| part == secret);
                check(!leaks, "the API got the secret")?;
            }
        }
        match case.expect_of(self.edge.kind) {
            Expect::Pass(token) => {
                check(answer.status == 200 && hits.len() == 1, "it does not pass")?;
                let hit = &hits[0];
                let line = format!("{} {} ", hit.method, hit.target);
                check(self.house.bytes(&case.request).starts_with(line.as_bytes()), "another request")?;
                check_identity(hit, self.house.token(token)).or_else(|why| check(false, &why))
            }
            Expect::Deny(status, code) => {
                check(hits.is_empty(), "it came through")?;
                check((answer.status, answer.reason()) == (*status, Some(*code)), "another refusal")?;
                check(answer.header("cache-control") == Some("no-store"), "a refusal may be kept")?;
                // What cannot be told is no refusal that anybody could explain.
                check(answer.header("x-authz-id").is_some() || *status == 503, "no id")?;
                let challenge = answer.header("www-authenticate").is_some_and(|it| it.starts_with("Bearer"));
                check(challenge || *status != 401, "no challenge")
            }
            Expect::Stop => check(
                hits.is_empty() && (answer.status == 0 || (400..=505).contains(&answer.status)),
                "it is not refused",
            ),
            Expect::Same => Ok(()),
        }
    }
}

/// Nothing in it was said by the client that only a proxy or the gate may say.
fn check_clean(hit: &Hit, client: Ipv4Addr, edge: Kind) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (name, value) in &hit.headers {
        let plain = name.replace('_', "-");
        if NEVER.contains(&plain.as_str()) {
            return Err(format!("the API got {name}"));
        }
        let is_whose = plain.starts_with("x-auth-") || ["remote-user", "x-request-id"].contains(&&*plain);
        let is_said_by_proxies = plain.starts_with("x-forwarded-") || plain.starts_with("x-original-");
        if (is_whose || is_said_by_proxies) && (name.contains('_') || !seen.insert(plain.clone())) {
            return Err(format!("the API got {name} twice, or in another spelling"));
        }
        // nginx takes away what it can name, the others all that begins so.
        let is_of_nobody =
            plain.starts_with("x-auth-") && !NAMES.iter().any(|known| *known == plain.as_str());
        if is_of_nobody && edge != Kind::Nginx {
            return Err(format!("the API got {name}"));
        }
        let tokens = value.to_ascii_lowercase();
        let mut tokens = tokens.split(',').map(str::trim);
        if name == "connection" && !tokens.all(|token| ["close", "keep-alive", "upgrade"].contains(&token)) {
            return Err(format!("the API is told to drop {value}"));
        }
    }
    if hit.all("x-forwarded-for") != [client.to_string()] {
        return Err("the API is told another address of the client".to_owned());
    }
    Ok(())
}

/// It says who calls, and nothing else.
fn check_identity(hit: &Hit, token: &Token) -> Result<(), String> {
    for (name, value) in &token.identity {
        if hit.all(name) != [value] {
            return Err(format!("{name} is not {value}"));
        }
    }
    match hit.all("x-request-id")[..] {
        [id] if !id.is_empty() && !id.contains("forged") => Ok(()),
        _ => Err("no id of the request".to_owned()),
    }
}

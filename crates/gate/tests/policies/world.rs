//! People, tokens, and policies by chance.

use std::fmt::Write as _;

use keygate_gate::{Client, Gate};
use keygate_model::{
    Ask, Batch, CustomerId, Digest, Expiry, Host, Method, Path, PolicyId, Position, Record, Secret,
    ServiceId, Services, Timestamp, TokenId, UserId, Verdict,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, PolicyRecord, ServiceRecord, TokenRecord, UserRecord},
    token::{Brand, Foreign, Kind, Presented},
    user::UserState,
};

/// Numbers that look random (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % end as u64) as usize
    }

    pub(crate) fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

const SCOPES: [&str; 9] = [
    "global",
    "global",
    "global:read",
    "shop:read",
    "shop:all",
    "purge_all shop:read",
    "shop:all shop:read",
    "gone",
    "global gone",
];
const ROLES: [&str; 5] = ["superuser", "superuser", "engineer", "clerk", "gone"];
const NAMES: [&str; 2] = ["one", "two"];
const HOSTS: [&str; 3] = ["one.test", "two.test", "three.test"];
const ACTIONS: [&str; 4] = ["a:read", "b:write", "c:do", "d:read"];
const PATHS: [&str; 6] = ["/", "/a", "/a/{x}", "/a/b", "/s/{service}", "/s/{service}/deep/{x}"];
const MARKS: [&str; 7] = ["read", "sudo", "people", "explicit", "personal", "account", "common"];

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) tokens: Vec<Token>,
    /// What was applied last under each name, and the words that are retired.
    pub(crate) files: [(Option<String>, Vec<String>); 2],
}

/// A token, and whom it is bound to.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) customer: u128,
    pub(crate) scope: &'static str,
    pub(crate) role: &'static str,
    pub(crate) is_machine: bool,
    /// The one service that it is limited to.
    pub(crate) only: Option<u128>,
    pub(crate) in_sudo: bool,
}

#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) host: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: String,
    /// None: nobody knows it.
    pub(crate) token: Option<usize>,
}

/// Services 1 and 2 are the first customer's, 3 is the second's, and 4 is not there.
pub(crate) fn owner_of(service: u128) -> Option<u128> {
    [None, Some(1), Some(1), Some(2)].get(service as usize).copied().flatten()
}

fn service(bits: u128) -> ServiceId {
    ServiceId::from_bits(bits)
}

fn secret(number: usize) -> String {
    Secret::mint(&Brand::default(), Kind::User, Digest::of(&number.to_be_bytes()).bytes())
        .reveal()
        .to_string()
}

impl World {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        let tokens = (0..12).map(|_| {
            let customer = draw.pick(&[1, 1, 2]);
            let is_machine = draw.one_in(4);
            let only = draw.one_in(3).then(|| if customer == 1 { draw.pick(&[1, 2]) } else { 3 });
            Token {
                customer,
                scope: draw.pick(&SCOPES),
                role: draw.pick(&ROLES),
                is_machine,
                only,
                in_sudo: draw.one_in(2),
            }
        });
        Self { tokens: tokens.collect(), files: [(None, Vec::new()), (None, Vec::new())] }
    }

    /// Everybody and everything but the policies.
    pub(crate) fn people(&self) -> Batch {
        let customer = |bits| {
            let (id, state) = (CustomerId::from_bits(bits), CustomerState::Active);
            Record::Customer(CustomerRecord { id, state, rules: Rules::default() })
        };
        let mut records: Vec<_> = [1, 2].map(customer).into();
        for bits in 1..4 {
            let customer = CustomerId::from_bits(owner_of(bits).expect("somebody's"));
            records.push(Record::Service(ServiceRecord { id: service(bits), customer }));
        }
        for (number, token) in self.tokens.iter().enumerate() {
            let (bits, customer) = (number as u128 + 1, CustomerId::from_bits(token.customer));
            let user = UserId::from_bits(bits);
            records.push(Record::User(UserRecord {
                id: user,
                customer,
                role: token.role.to_owned(),
                state: UserState::Active,
                reach: Reach::All,
                has_factor: true,
            }));
            let machine = Owner::Customer { role: token.role.to_owned() };
            records.push(Record::Token(TokenRecord {
                id: TokenId::from_bits(bits),
                digest: Digest::of(secret(number).as_bytes()),
                customer,
                owner: if token.is_machine { machine } else { Owner::User(user) },
                scope: token.scope.to_owned(),
                services: token.only.map_or(Services::All, |id| Services::only([service(id)]).expect("one")),
                expires: Expiry::Never,
                sudo_until: token.in_sudo.then(|| Timestamp::from_seconds(NOW.seconds() + 60)),
                foreign: false,
                revoked: false,
            }));
        }
        Batch { position: Position(1), records }
    }

    /// Applies a policy, or takes one back, or applies what no gate can read.
    pub(crate) fn change(&mut self, draw: &mut Draw) -> Batch {
        let place = draw.below(2);
        let (file, retired) = &mut self.files[place];
        match draw.below(8) {
            0 => {
                *file = None;
                retired
                    .extend(["scope gone", "scope shop:read", "role gone", "role clerk"].map(str::to_owned));
            }
            1 => *file = Some("name = [".to_owned()),
            _ => *file = Some(policy(draw, place)),
        }
        self.policies()
    }

    pub(crate) fn policies(&self) -> Batch {
        let records = self.files.iter().zip(1_u128..).map(|((text, retired), bits)| {
            let (id, text, retired) = (PolicyId::from_bits(bits), text.clone(), retired.clone());
            Record::Policy(PolicyRecord { id, text, retired })
        });
        Batch { position: Position(1), records: records.collect() }
    }

    pub(crate) fn ask(&self, draw: &mut Draw) -> Question {
        let service = service(draw.pick(&[1, 1, 2, 3, 4])).to_string();
        let path =
            draw.pick(&PATHS).replace("{service}", &service).replace("{x}", draw.pick(&["1", "b", "zz"]));
        Question {
            host: draw.pick(&HOSTS),
            method: draw.pick(&["GET", "GET", "POST", "HEAD", "OPTIONS", "TRACE"]),
            path: if draw.one_in(12) { format!("{path}/x") } else { path },
            token: (!draw.one_in(20)).then(|| draw.below(self.tokens.len())),
        }
    }
}

impl Question {
    pub(crate) fn put(&self, gate: &Gate) -> Verdict {
        let secret = secret(self.token.unwrap_or(usize::MAX));
        let secret =
            Presented::parse(secret.as_bytes(), &Brand::default(), Foreign::Refused).expect("a secret");
        let Some(method) = Method::parse(self.method) else {
            return Verdict::Deny(keygate_model::Deny::NoRoute);
        };
        let host = Some(Host::parse(self.host).expect("a host"));
        let client = Client { ip: None, user_agent: "" };
        gate.authorize(
            &Ask { host, method, path: Path::new(&self.path), secret: Ok(secret), at_least: Position(0) },
            client,
            NOW,
        )
    }
}

fn policy(draw: &mut Draw, place: usize) -> String {
    // The third host is now the one's, now the other's, and sometimes both want it: then the later one is left out.
    let mut hosts = vec![HOSTS[place]];
    if draw.one_in(4) {
        hosts.push("three.test");
    }
    let ids = [format!("[\"{}\"]", CustomerId::from_bits(1)), format!("[\"{}\"]", CustomerId::from_bits(2))];
    let customers = draw.pick(&["\"all\"", "\"all\"", &ids[0], &ids[1]]);
    let mut text =
        format!("name = {:?}\nhosts = {hosts:?}\ncustomers = {customers}\n[actions]\n", NAMES[place]);
    let known: Vec<&str> = ACTIONS.into_iter().filter(|_| !draw.one_in(4)).chain(["e"]).collect();
    for action in &known {
        let marks: Vec<_> =
            MARKS.into_iter().filter(|_| draw.one_in(5)).map(|mark| format!("{mark} = true")).collect();
        writeln!(text, "{action:?} = {{ {} }}", marks.join(", ")).expect("text");
    }
    for (table, names) in
        [("scopes", ["shop:read", "shop:all", "gone"]), ("roles", ["engineer", "clerk", "gone"])]
    {
        writeln!(text, "[{table}]").expect("text");
        for name in names {
            if draw.one_in(3) {
                continue;
            }
            let some = (0..draw.below(3) + 1)
                .map(|_| if draw.one_in(2) { draw.pick(&["*", "@read"]) } else { draw.pick(&known) });
            writeln!(text, "{name:?} = {:?}", some.collect::<Vec<_>>()).expect("text");
        }
    }
    text.push_str("[routes]\n");
    for path in PATHS {
        for method in ["GET", "POST", "OPTIONS"] {
            let line = match draw.below(12) {
                0 => "public = true".to_owned(),
                1 => "unclassified = true".to_owned(),
                2..5 => continue,
                _ => format!("action = {:?}", draw.pick(&known)),
            };
            writeln!(text, "\"{method} {path}\" = {{ {line} }}").expect("text");
        }
    }
    text
}

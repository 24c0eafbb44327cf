//! What is true: the changes that a record may hold, what they come to, and what gates are told of them.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use keygate_model::{
    Ask, CustomerId, Digest, Expiry, Method, Path, Record, Secret, Services, Timestamp, TokenId, UserId,
    authorization::Reach,
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, TokenRecord, UserRecord},
    token::{Brand, Foreign, Kind, Presented},
    user::UserState,
};

/// How many tokens may be made in a world, and how many people there are.
pub(crate) const TOKENS: usize = 24;
pub(crate) const USERS: usize = 3;

/// The time of day at the start, and when some tokens expire.
pub(crate) const DAWN: i64 = 1_800_000_000;
const DUSK: i64 = DAWN + 15;

static SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mint = |number| Secret::mint(&Brand::default(), Kind::Automation, &[number; 32]);
    (0..TOKENS as u8).map(|number| mint(number).reveal().to_string()).collect()
});

static DIGESTS: LazyLock<Vec<Digest>> =
    LazyLock::new(|| SECRETS.iter().map(|secret| Digest::of(secret.as_bytes())).collect());

const CUSTOMER: CustomerId = CustomerId::from_bits(1 << 100 | 1);

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Begin,
    Create(usize),
    Revoke(usize),
    Lock(usize),
    Unlock(usize),
    Suspend,
    Resume,
}

/// What the changes so far come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    created: u32,
    revoked: u32,
    locked: u32,
    suspended: bool,
}

/// A change in its place.
pub(crate) struct Entry {
    pub(crate) position: i64,
    pub(crate) hash: [u8; 32],
    pub(crate) change: Change,
    pub(crate) state: State,
    before: Option<Arc<Self>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.position, self.change)
    }
}

impl Entry {
    pub(crate) fn first() -> Arc<Self> {
        let (change, state) = (Change::Begin, State::default());
        Arc::new(Self { position: 1, hash: [0; 32], change, state, before: None })
    }

    /// The one after it. `hash` is like none before: the chain's hashes are those of whole histories.
    pub(crate) fn then(self: &Arc<Self>, change: Change, hash: u128) -> Arc<Self> {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&hash.to_be_bytes());
        let state = self.state.after(change);
        Arc::new(Self {
            position: self.position + 1,
            hash: bytes,
            change,
            state,
            before: Some(Arc::clone(self)),
        })
    }

    /// The one before it.
    pub(crate) fn before(&self) -> Option<&Arc<Self>> {
        self.before.as_ref()
    }

    /// Whether another is this one, or stands before it in its history.
    pub(crate) fn follows(&self, other: &Self) -> bool {
        let mut at = self;
        while at.position > other.position {
            let Some(before) = &at.before else { return false };
            at = before;
        }
        at.hash == other.hash && at.position == other.position
    }
}

impl State {
    fn after(self, change: Change) -> Self {
        match change {
            Change::Begin => self,
            Change::Create(token) => Self { created: self.created | 1 << token, ..self },
            Change::Revoke(token) => Self { revoked: self.revoked | 1 << token, ..self },
            Change::Lock(user) => Self { locked: self.locked | 1 << user, ..self },
            Change::Unlock(user) => Self { locked: self.locked & !(1 << user), ..self },
            Change::Suspend => Self { suspended: true, ..self },
            Change::Resume => Self { suspended: false, ..self },
        }
    }

    pub(crate) fn has(self, token: usize) -> bool {
        self.created & 1 << token != 0
    }

    pub(crate) fn is_revoked(self, token: usize) -> bool {
        self.revoked & 1 << token != 0
    }

    /// The law, as far as it goes here.
    pub(crate) fn allows(self, token: usize, wall: Timestamp) -> bool {
        let user_is_fine = user_of(token).is_none_or(|user| self.locked & 1 << user == 0);
        let is_alive = expiry(token).is_alive(wall);
        self.has(token) && !self.is_revoked(token) && user_is_fine && !self.suspended && is_alive
    }

    /// Everything, as a gate is told.
    pub(crate) fn records(self) -> Vec<Record> {
        let mut records = vec![self.customer()];
        records.extend((0..USERS).map(|user| self.user(user)));
        let tokens = (0..TOKENS).filter(|token| self.has(*token) && !self.is_revoked(*token));
        records.extend(tokens.map(|token| self.token(token)));
        records
    }

    /// The present state of what a change was about.
    pub(crate) fn about(self, change: Change) -> Option<Record> {
        match change {
            Change::Begin => None,
            Change::Create(token) | Change::Revoke(token) => Some(self.token(token)),
            Change::Lock(user) | Change::Unlock(user) => Some(self.user(user)),
            Change::Suspend | Change::Resume => Some(self.customer()),
        }
    }

    fn customer(self) -> Record {
        let state = if self.suspended { CustomerState::Suspended } else { CustomerState::Active };
        Record::Customer(CustomerRecord { id: CUSTOMER, state, rules: Rules::default() })
    }

    fn user(self, user: usize) -> Record {
        Record::User(UserRecord {
            id: user_id(user),
            customer: CUSTOMER,
            role: "engineer".to_owned(),
            state: if self.locked & 1 << user == 0 { UserState::Active } else { UserState::Locked },
            reach: Reach::All,
            has_factor: true,
        })
    }

    fn token(self, token: usize) -> Record {
        let machine = || Owner::Customer { role: "engineer".to_owned() };
        Record::Token(TokenRecord {
            id: TokenId::from_bits(7 << 90 | token as u128),
            digest: DIGESTS[token],
            customer: CUSTOMER,
            owner: user_of(token).map_or_else(machine, |user| Owner::User(user_id(user))),
            scope: "global".to_owned(),
            services: Services::All,
            expires: expiry(token),
            sudo_until: None,
            foreign: false,
            revoked: self.is_revoked(token),
        })
    }
}

/// Every fourth token is a machine's.
fn user_of(token: usize) -> Option<usize> {
    (!token.is_multiple_of(4)).then_some(token % USERS)
}

/// Every fifth has an end.
fn expiry(token: usize) -> Expiry {
    if token % 5 == 2 { Expiry::At(Timestamp::from_seconds(DUSK)) } else { Expiry::Never }
}

fn user_id(user: usize) -> UserId {
    UserId::from_bits(9 << 90 | user as u128)
}

/// A request with this token.
pub(crate) fn ask(token: usize) -> Ask<'static> {
    let secret = Presented::parse(SECRETS[token].as_bytes(), &Brand::default(), Foreign::Refused);
    Ask {
        at_least: keygate_model::Position(0),
        host: None,
        method: Method::Get,
        path: Path::new("/tokens/self"),
        secret: Ok(secret.expect("a secret")),
    }
}

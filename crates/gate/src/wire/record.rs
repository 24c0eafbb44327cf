//! A record on the wire: an envelope that every version can read, and in it what is true of the thing.

use bytes::Bytes;
use keygate_model::{
    Action, Digest, Expiry, Networks, Record, ServiceId, Services, Subject, Timestamp, TokenId,
    action::OWN,
    authorization::{Permission, Reach},
    customer::{CustomerState, Rules},
    id::Id,
    record::{CustomerRecord, Owner, PolicyRecord, RevokedRecord, ServiceRecord, TokenRecord, UserRecord},
    user::UserState,
};
use prost::{DecodeError, Message};

/// An id and a digest.
const REVOKED_LEN: usize = 16 + 32;

/// What is around every record.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Envelope {
    #[prost(uint32, tag = "1")]
    pub(super) kind: u32,
    /// What it is about, whatever the kind is.
    #[prost(uint32, tag = "2")]
    pub(super) noun: u32,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) id: Bytes,
    /// What a reader does not know of this restricts nothing.
    #[prost(bool, tag = "4")]
    pub(super) lenient: bool,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) body: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct CustomerBody {
    #[prost(uint32, tag = "1")]
    state: u32,
    #[prost(string, tag = "2")]
    networks: String,
    #[prost(string, repeated, tag = "3")]
    forbids: Vec<String>,
    #[prost(bool, tag = "4")]
    force_factor: bool,
}

#[derive(Clone, PartialEq, Message)]
struct UserBody {
    #[prost(bytes = "bytes", tag = "1")]
    customer: Bytes,
    #[prost(string, tag = "2")]
    role: String,
    #[prost(uint32, tag = "3")]
    state: u32,
    #[prost(bool, tag = "4")]
    reaches_all: bool,
    /// A service's id and the place of the permission, 17 bytes each.
    #[prost(bytes = "bytes", tag = "5")]
    grants: Bytes,
    #[prost(bool, tag = "6")]
    has_factor: bool,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceBody {
    #[prost(bytes = "bytes", tag = "1")]
    customer: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct TokenBody {
    #[prost(bytes = "bytes", tag = "1")]
    digest: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    customer: Bytes,
    /// The person that it is bound to; none where it has a role of its own.
    #[prost(bytes = "bytes", optional, tag = "3")]
    user: Option<Bytes>,
    #[prost(string, optional, tag = "4")]
    role: Option<String>,
    #[prost(string, tag = "5")]
    scope: String,
    #[prost(bool, tag = "6")]
    all_services: bool,
    /// Ids, 16 bytes each.
    #[prost(bytes = "bytes", tag = "7")]
    services: Bytes,
    #[prost(bool, tag = "8")]
    never_expires: bool,
    #[prost(sint64, optional, tag = "9")]
    expires: Option<i64>,
    #[prost(sint64, optional, tag = "10")]
    sudo_until: Option<i64>,
    #[prost(bool, tag = "11")]
    foreign: bool,
    #[prost(bool, tag = "12")]
    revoked: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PolicyBody {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(string, repeated, tag = "2")]
    retired: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct RevokedBody {
    #[prost(bytes = "bytes", tag = "1")]
    customer: Bytes,
    /// Ids and digests in turn, 16 and 32 bytes.
    #[prost(bytes = "bytes", tag = "2")]
    tokens: Bytes,
}

/// What a record is about.
#[must_use]
pub fn subject_of(record: &Record) -> Subject {
    match record {
        Record::Customer(customer) => Subject::Customer(customer.id),
        Record::User(user) => Subject::User(user.id),
        Record::Service(service) => Subject::Service(service.id),
        Record::Token(token) => Subject::Token(token.id),
        Record::Policy(policy) => Subject::Policy(policy.id),
        Record::Revoked(revoked) => Subject::MassRevoke(revoked.by),
        Record::Broken(subject) => *subject,
    }
}

/// A record as frames hold it. Whoever adds a field here gives it a number of its own; older gates then believe nothing of
/// what has it, which is wanted of a field that restricts. `lenient` says that one does not.
#[must_use]
pub fn encode(record: &Record) -> Bytes {
    let (kind, body) = match record {
        Record::Customer(customer) => (1, customer_body(customer).encode_to_vec()),
        Record::User(user) => (2, user_body(user).encode_to_vec()),
        Record::Service(ServiceRecord { id: _, customer }) => {
            (3, ServiceBody { customer: bytes(*customer) }.encode_to_vec())
        }
        Record::Token(token) => (4, token_body(token).encode_to_vec()),
        Record::Policy(PolicyRecord { id: _, text, retired }) => {
            (5, PolicyBody { text: text.clone(), retired: retired.clone() }.encode_to_vec())
        }
        Record::Broken(_) => (6, Vec::new()),
        Record::Revoked(revoked) => (7, revoked_body(revoked).encode_to_vec()),
    };
    let (noun, id) = noun(subject_of(record));
    let envelope = Envelope { kind, noun, id, lenient: false, body: body.into() };
    envelope.encode_length_delimited_to_vec().into()
}

/// Reads the next record. None: nobody needs to know it.
pub(super) fn decode(from: &mut Bytes) -> Result<Option<Record>, DecodeError> {
    let envelope = Envelope::decode_length_delimited(from)?;
    let subject = subject(envelope.noun, &envelope.id);
    let record = subject.and_then(|subject| believed(&envelope, subject));
    // What it is about is not known either, or may be any token: then it may be about anything.
    let known = subject.filter(|subject| !matches!(subject, Subject::MassRevoke(_)));
    let doubted = Record::Broken(known.unwrap_or(Subject::None));
    Ok(match record {
        None if envelope.lenient && !(1..=7).contains(&envelope.kind) => None,
        record => Some(record.unwrap_or(doubted)),
    })
}

/// The record, if all of it is understood.
fn believed(envelope: &Envelope, subject: Subject) -> Option<Record> {
    Some(match (envelope.kind, subject) {
        (1, Subject::Customer(id)) => {
            let CustomerBody { state, networks, forbids, force_factor } = body(envelope)?;
            let state = *[CustomerState::Active, CustomerState::Suspended, CustomerState::Closed]
                .get(place(state)?)?;
            // What is not known here is no action that anybody can ask for here.
            let number = |name: &String| OWN.iter().position(|own| own == name);
            let forbids = forbids.iter().filter_map(number).filter_map(|number| u16::try_from(number).ok());
            let forbids = forbids.map(Action::numbered).collect();
            let rules = Rules { networks: Networks::parse(&networks).ok()?, forbids, force_factor };
            Record::Customer(CustomerRecord { id, state, rules })
        }
        (2, Subject::User(id)) => {
            let UserBody { customer, role, state, reaches_all, grants, has_factor } = body(envelope)?;
            let state = *[UserState::Active, UserState::Locked, UserState::Deleted].get(place(state)?)?;
            let reach = match (reaches_all, grants.is_empty()) {
                (true, true) => Reach::All,
                (true, false) => return None,
                (false, _) => Reach::Granted(granted(&grants)?.into_iter().collect()),
            };
            let customer = id_of(&customer)?;
            Record::User(UserRecord { id, customer, role, state, reach, has_factor })
        }
        (3, Subject::Service(id)) => {
            let ServiceBody { customer } = body(envelope)?;
            Record::Service(ServiceRecord { id, customer: id_of(&customer)? })
        }
        (4, Subject::Token(_)) => return token(envelope, subject),
        (5, Subject::Policy(id)) => {
            let PolicyBody { text, retired } = body(envelope)?;
            Record::Policy(PolicyRecord { id, text, retired })
        }
        (6, subject) if envelope.body.is_empty() => Record::Broken(subject),
        (7, Subject::MassRevoke(by)) => {
            let RevokedBody { customer, tokens } = body(envelope)?;
            Record::Revoked(RevokedRecord { by, customer: id_of(&customer)?, tokens: revoked(&tokens)? })
        }
        _ => return None,
    })
}

fn token(envelope: &Envelope, subject: Subject) -> Option<Record> {
    let Subject::Token(id) = subject else { return None };
    let told: TokenBody = body(envelope)?;
    let owner = match (told.user, told.role) {
        (Some(user), None) => Owner::User(id_of(&user)?),
        (None, Some(role)) => Owner::Customer { role },
        _ => return None,
    };
    let services = match (told.all_services, told.services.is_empty()) {
        (true, true) => Services::All,
        (false, false) => {
            let (ids, rest) = told.services.as_chunks::<16>();
            rest.is_empty().then_some(())?;
            Services::only(ids.iter().map(|id| ServiceId::from_bytes(*id))).ok()?
        }
        _ => return None,
    };
    let expires = match (told.never_expires, told.expires) {
        (true, None) => Expiry::Never,
        (false, Some(at)) => Expiry::At(Timestamp::from_micros(at)),
        _ => return None,
    };
    Some(Record::Token(TokenRecord {
        id,
        digest: Digest::from_bytes(told.digest.as_ref().try_into().ok()?),
        customer: id_of(&told.customer)?,
        owner,
        scope: told.scope,
        services,
        expires,
        sudo_until: told.sudo_until.map(Timestamp::from_micros),
        foreign: told.foreign,
        revoked: told.revoked,
    }))
}

/// The body, if it holds nothing but what is known here: what was not read is missing from what would be written again.
fn body<B: Message + Default>(envelope: &Envelope) -> Option<B> {
    let body = B::decode(envelope.body.clone()).ok()?;
    (envelope.lenient || body.encoded_len() == envelope.body.len()).then_some(body)
}

fn customer_body(record: &CustomerRecord) -> CustomerBody {
    let CustomerRecord { id: _, state, rules: Rules { networks, forbids, force_factor } } = record;
    let state = match state {
        CustomerState::Active => 1,
        CustomerState::Suspended => 2,
        CustomerState::Closed => 3,
    };
    let names = forbids.iter().filter_map(|action| OWN.get(usize::from(action.number())));
    let forbids = names.map(|name| (*name).to_owned()).collect();
    CustomerBody { state, networks: networks.to_string(), forbids, force_factor: *force_factor }
}

fn user_body(record: &UserRecord) -> UserBody {
    let UserRecord { id: _, customer, role, state, reach, has_factor } = record;
    let state = match state {
        UserState::Active => 1,
        UserState::Locked => 2,
        UserState::Deleted => 3,
    };
    let mut grants = Vec::new();
    if let Reach::Granted(granted) = reach {
        for (service, permission) in granted.all() {
            grants.extend(service.to_bytes());
            let place = Permission::ALL.iter().position(|known| known == permission).unwrap_or(usize::MAX);
            grants.push(u8::try_from(place).unwrap_or(u8::MAX));
        }
    }
    UserBody {
        customer: bytes(*customer),
        role: role.clone(),
        state,
        reaches_all: *reach == Reach::All,
        grants: grants.into(),
        has_factor: *has_factor,
    }
}

fn token_body(record: &TokenRecord) -> TokenBody {
    let TokenRecord {
        id: _,
        digest,
        customer,
        owner,
        scope,
        services,
        expires,
        sudo_until,
        foreign,
        revoked,
    } = record;
    let (user, role) = match owner {
        Owner::User(user) => (Some(bytes(*user)), None),
        Owner::Customer { role } => (None, Some(role.clone())),
    };
    let listed: Vec<u8> = services.listed().iter().flat_map(|id| id.to_bytes()).collect();
    TokenBody {
        digest: Bytes::copy_from_slice(digest.bytes()),
        customer: bytes(*customer),
        user,
        role,
        scope: scope.clone(),
        all_services: *services == Services::All,
        services: listed.into(),
        never_expires: *expires == Expiry::Never,
        expires: expires.date().map(Timestamp::micros),
        sudo_until: sudo_until.map(Timestamp::micros),
        foreign: *foreign,
        revoked: *revoked,
    }
}

fn granted(packed: &[u8]) -> Option<Vec<(ServiceId, Permission)>> {
    let (grants, rest) = packed.as_chunks::<17>();
    rest.is_empty().then_some(())?;
    let read = |grant: &[u8; 17]| {
        let (id, place) = grant.split_first_chunk::<16>()?;
        Some((ServiceId::from_bytes(*id), *Permission::ALL.get(usize::from(*place.first()?))?))
    };
    grants.iter().map(read).collect()
}

fn revoked_body(RevokedRecord { by: _, customer, tokens }: &RevokedRecord) -> RevokedBody {
    let mut told = Vec::with_capacity(tokens.len() * REVOKED_LEN);
    for (id, digest) in tokens {
        told.extend_from_slice(&id.to_bytes());
        told.extend_from_slice(digest.bytes());
    }
    RevokedBody { customer: bytes(*customer), tokens: told.into() }
}

fn revoked(tokens: &[u8]) -> Option<Vec<(TokenId, Digest)>> {
    let (each, rest) = tokens.as_chunks::<REVOKED_LEN>();
    let read = |token: &[u8; REVOKED_LEN]| {
        let (id, digest) = token.split_first_chunk()?;
        Some((TokenId::from_bytes(*id), Digest::from_bytes(digest.try_into().ok()?)))
    };
    if rest.is_empty() { each.iter().map(read).collect() } else { None }
}

/// Counted from one on the wire: zero is what is missing.
fn place(number: u32) -> Option<usize> {
    usize::try_from(number).ok()?.checked_sub(1)
}

fn bytes<N>(id: Id<N>) -> Bytes {
    Bytes::copy_from_slice(&id.to_bytes())
}

fn id_of<N>(bytes: &[u8]) -> Option<Id<N>> {
    bytes.try_into().ok().map(Id::from_bytes)
}

fn noun(subject: Subject) -> (u32, Bytes) {
    match subject {
        Subject::None => (0, Bytes::new()),
        Subject::Customer(id) => (1, bytes(id)),
        Subject::User(id) => (2, bytes(id)),
        Subject::Service(id) => (3, bytes(id)),
        Subject::Token(id) => (4, bytes(id)),
        Subject::Invitation(id) => (5, bytes(id)),
        Subject::Policy(id) => (6, bytes(id)),
        Subject::MassRevoke(id) => (7, bytes(id)),
    }
}

fn subject(noun: u32, id: &[u8]) -> Option<Subject> {
    Some(match noun {
        0 if id.is_empty() => Subject::None,
        1 => Subject::Customer(id_of(id)?),
        2 => Subject::User(id_of(id)?),
        3 => Subject::Service(id_of(id)?),
        4 => Subject::Token(id_of(id)?),
        5 => Subject::Invitation(id_of(id)?),
        6 => Subject::Policy(id_of(id)?),
        7 => Subject::MassRevoke(id_of(id)?),
        _ => return None,
    })
}

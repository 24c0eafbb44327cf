//! K21: a gate of this version before a node of a newer one, and before one of an older one.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use keygate_gate::{
    Client, Gate,
    follow::{Course, Why},
    wire::{Beat, Check, End, Frame, Frames, Head, Hello, Stage, VERSION, encode, part},
};
use keygate_model::{
    Action, CustomerId, Digest, Expiry, Networks, PolicyId, Record, ServiceId, Services, Subject, Timestamp,
    TokenId, UserId, Verdict,
    authorization::{Permission, Reach},
    customer::{CustomerState, Rules},
    enforce::Session,
    record::{CustomerRecord, Owner, PolicyRecord, ServiceRecord, TokenRecord, UserRecord},
    user::UserState,
};
use prost::Message;

use crate::{
    truth::{Change, DAWN, Entry, State, ask},
    world::own_policy,
};

/// What is around a record, written down once more: it stays as it is.
#[derive(Clone, PartialEq, Message)]
struct Envelope {
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint32, tag = "2")]
    noun: u32,
    #[prost(bytes = "vec", tag = "3")]
    id: Vec<u8>,
    #[prost(bool, tag = "4")]
    lenient: bool,
    #[prost(bytes = "vec", tag = "5")]
    body: Vec<u8>,
}

/// What a newer node does to a record.
#[derive(Clone, Copy, PartialEq)]
enum Newer {
    /// It says more of the thing.
    Field,
    /// It says more, which restricts nothing.
    LenientField,
    /// It says it in another way altogether.
    Kind,
}

fn told_by_newer(record: &Record, newer: Option<Newer>) -> Bytes {
    let mut envelope = Envelope::decode_length_delimited(encode(record)).unwrap();
    match newer {
        Some(Newer::Field | Newer::LenientField) => {
            prost::encoding::string::encode(900, &"only on Sundays".to_owned(), &mut envelope.body);
            envelope.lenient = newer == Some(Newer::LenientField);
        }
        Some(Newer::Kind) => (envelope.kind, envelope.body) = (77, vec![8, 1]),
        None => {}
    }
    envelope.encode_length_delimited_to_vec().into()
}

struct House {
    gate: Arc<Gate>,
    course: Course,
    frames: Frames,
}

impl House {
    fn new() -> Self {
        let gate = Arc::new(Gate::new(own_policy(), 0));
        gate.open();
        let course = Course::new(Arc::clone(&gate), Session(1));
        Self { gate, course, frames: Frames::default() }
    }

    fn hears(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
        while let Some(frame) = self.frames.frame().unwrap() {
            self.course.take(frame).unwrap();
        }
    }

    fn is_told(&mut self, stage: Stage, (after, position): (i64, i64), records: &[Bytes]) {
        let count = u32::try_from(records.len()).unwrap();
        self.hears(&part(stage, &Head { after, position, complete: true, count }, records));
    }

    /// The tokens of the first nine that are let in.
    fn lets_in(&self) -> Vec<usize> {
        let lets_in = |token: &usize| {
            let client = Client { ip: None, user_agent: "" };
            let verdict = self.gate.authorize(&ask(*token), client, Timestamp::from_seconds(DAWN));
            matches!(verdict, Verdict::Allow(_))
        };
        (0..9).filter(lets_in).collect()
    }
}

/// Nine tokens: 0, 4 and 8 are machines', 3 and 6 the first person's, 1 and 7 the second's, 2 and 5 the third's.
fn nine() -> State {
    (0..9).fold(Entry::first(), |entry, token| entry.then(Change::Create(token), token as u128)).state
}

fn about_user(records: &[Record], user: usize) -> &Record {
    records.iter().filter(|record| matches!(record, Record::User(_))).nth(user).unwrap()
}

fn about_token(records: &[Record], token: usize) -> &Record {
    records.iter().filter(|record| matches!(record, Record::Token(_))).nth(token).unwrap()
}

fn newer_hello(oldest: u32) -> Hello {
    Hello { version: VERSION + 1, oldest, epoch: 1, position: 10, snapshot: true, ..Hello::default() }
}

#[test]
fn what_a_newer_node_says_more_of_a_thing_concerns_that_thing_alone() {
    let records = nine().records();
    let newer = |record: &Record| match record {
        record if record == about_token(&records, 4) => Some(Newer::Field),
        record if record == about_token(&records, 5) => Some(Newer::LenientField),
        record if record == about_token(&records, 8) => Some(Newer::Kind),
        record if record == about_user(&records, 1) => Some(Newer::Field),
        _ => None,
    };
    let mut house = House::new();
    house.course.begin(&newer_hello(VERSION)).unwrap();
    let told: Vec<_> = records.iter().map(|record| told_by_newer(record, newer(record))).collect();
    // Between them, a frame of a kind that may be skipped.
    house.hears(&[0, 0, 0, 1, 99, 2, 5]);
    house.is_told(Stage::Snapshot, (0, 10), &told);
    assert!(house.gate.is_ready(), "nothing else suffers");
    assert_eq!(house.lets_in(), [0, 2, 3, 5, 6], "4 and 8 say more, 1 and 7 are the second person's");

    // What changes: a token that says more from now on, and a person who does not any more.
    let changed = [
        told_by_newer(about_token(&records, 3), Some(Newer::Kind)),
        told_by_newer(about_user(&records, 1), None),
        told_by_newer(about_token(&records, 4), None),
    ];
    house.is_told(Stage::Tail, (10, 11), &changed);
    assert_eq!(house.lets_in(), [0, 1, 2, 4, 5, 6, 7]);

    // Something of a sort that is not known here: it may be about anything.
    let thing = Envelope { kind: 77, noun: 99, id: vec![1; 16], ..Envelope::default() };
    house.is_told(Stage::Tail, (11, 12), &[thing.encode_length_delimited_to_vec().into()]);
    assert!(!house.gate.is_ready());
    assert_eq!(house.lets_in(), [0; 0]);
}

#[test]
fn a_node_that_speaks_to_newer_gates_alone_is_left_for_another() {
    let mut house = House::new();
    assert!(matches!(house.course.begin(&newer_hello(VERSION + 1)), Err(Why::TooOld(_))));
}

/// The bytes of version 1, as they were when it was the newest: every later version reads them as this.
#[test]
fn what_version_1_wrote_is_read() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/wire-1.bin");
    let said = version_1();
    if std::env::var_os("KEYGATE_WRITE").is_some() && !file.exists() {
        let bytes: Vec<u8> = said.iter().flat_map(|frame| frame.encode().to_vec()).collect();
        std::fs::write(&file, bytes).unwrap();
    }
    let (mut frames, mut read) = (Frames::default(), Vec::new());
    frames.push(&std::fs::read(file).unwrap());
    while let Some(frame) = frames.frame().unwrap() {
        read.push(frame);
    }
    assert_eq!(read, said);
}

/// Something of everything that version 1 could say.
fn version_1() -> Vec<Frame> {
    let snapshot = vec![customer(), user(Reach::All), limited_user(), service(), token(), policy()];
    let tail =
        vec![revoked(), Record::Broken(Subject::Token(TokenId::from_bits(6))), Record::Broken(Subject::None)];
    let head = |after, position, records: &[Record]| Head {
        after,
        position,
        complete: true,
        count: u32::try_from(records.len()).unwrap(),
    };
    let hello = Hello {
        version: 1,
        oldest: 1,
        epoch: 3,
        node: "a".to_owned(),
        session: "b".to_owned(),
        position: 7,
        snapshot: true,
        tokens: 2,
        customer: vec![1; 16],
    };
    vec![
        Frame::Hello(hello),
        Frame::Records(Stage::Snapshot, head(0, 7, &snapshot), snapshot),
        Frame::Records(Stage::Tail, head(7, 9, &tail), tail),
        Frame::Beat(Beat { position: 9, hash: vec![2; 32] }),
        Frame::Check(Check { position: 9, digest: vec![3; 16] }),
        Frame::End(End { code: "stopping".to_owned() }),
    ]
}

fn customer() -> Record {
    let rules = Rules {
        networks: Networks::parse("192.0.2.0/24,2001:db8::/32").unwrap(),
        forbids: [Action::TOKEN_READ_SELF].into_iter().collect(),
        force_factor: true,
    };
    Record::Customer(CustomerRecord { id: CustomerId::from_bits(1), state: CustomerState::Suspended, rules })
}

fn user(reach: Reach) -> Record {
    Record::User(UserRecord {
        id: UserId::from_bits(2),
        customer: CustomerId::from_bits(1),
        role: "engineer".to_owned(),
        state: UserState::Locked,
        reach,
        has_factor: true,
    })
}

fn limited_user() -> Record {
    let granted = Permission::ALL.iter().zip(1..).map(|(may, id)| (ServiceId::from_bits(id), *may));
    user(Reach::Granted(granted.collect()))
}

fn service() -> Record {
    Record::Service(ServiceRecord { id: ServiceId::from_bits(3), customer: CustomerId::from_bits(1) })
}

fn token() -> Record {
    Record::Token(TokenRecord {
        id: TokenId::from_bits(4),
        digest: Digest::from_bytes([5; 32]),
        customer: CustomerId::from_bits(1),
        owner: Owner::Customer { role: "engineer".to_owned() },
        scope: "global purge_all".to_owned(),
        services: Services::only([ServiceId::from_bits(3), ServiceId::from_bits(8)]).unwrap(),
        expires: Expiry::At(Timestamp::from_seconds(DAWN)),
        sudo_until: Some(Timestamp::from_seconds(DAWN - 1)),
        foreign: true,
        revoked: false,
    })
}

fn revoked() -> Record {
    let Record::Token(token) = token() else { unreachable!("it is one") };
    Record::Token(TokenRecord {
        owner: Owner::User(UserId::from_bits(2)),
        services: Services::All,
        expires: Expiry::Never,
        sudo_until: None,
        foreign: false,
        revoked: true,
        ..token
    })
}

/// Long enough to be packed.
fn policy() -> Record {
    let text = Some("name = \"shop\"\n# a policy that is long\n".repeat(99));
    let retired = vec!["scope old".to_owned(), "role older".to_owned()];
    Record::Policy(PolicyRecord { id: PolicyId::from_bits(5), text, retired })
}

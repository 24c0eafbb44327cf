use bytes::Bytes;
use keygate_model::{
    Action, CustomerId, Digest, Expiry, MassRevokeId, Networks, PolicyId, Record, ServiceId, Services,
    Subject, Timestamp, TokenId, UserId,
    authorization::{Permission, Reach},
    customer::{CustomerState, Rules},
    record::{CustomerRecord, Owner, PolicyRecord, RevokedRecord, ServiceRecord, TokenRecord, UserRecord},
    user::UserState,
};
use proptest::{prelude::*, sample::select};
use prost::Message as _;

use super::{record::Envelope, *};

fn customer() -> impl Strategy<Value = Record> {
    let state = select(vec![CustomerState::Active, CustomerState::Suspended, CustomerState::Closed]);
    let networks = select(vec!["0.0.0.0/0", "192.0.2.0/24,2001:db8::/32", "10.1.*.*"]);
    let forbids = prop::collection::vec((0..43_u16).prop_map(Action::numbered), 0..4);
    (any::<u128>(), state, networks, forbids, any::<bool>()).prop_map(
        |(id, state, networks, forbids, force_factor)| {
            let rules = Rules { networks: Networks::parse(networks).unwrap(), forbids, force_factor };
            Record::Customer(CustomerRecord { id: CustomerId::from_bits(id), state, rules })
        },
    )
}

fn user() -> impl Strategy<Value = Record> {
    let state = select(vec![UserState::Active, UserState::Locked, UserState::Deleted]);
    let grants = prop::collection::vec((any::<u128>(), select(Permission::ALL.to_vec())), 0..4);
    let reach = prop::option::of(grants).prop_map(|grants| {
        let grants = grants.map(|grants| grants.into_iter().map(|(id, may)| (ServiceId::from_bits(id), may)));
        grants.map_or(Reach::All, |grants| Reach::Granted(grants.collect()))
    });
    (any::<u128>(), any::<u128>(), ".{0,9}", state, reach, any::<bool>()).prop_map(
        |(id, customer, role, state, reach, has_factor)| {
            let (id, customer) = (UserId::from_bits(id), CustomerId::from_bits(customer));
            Record::User(UserRecord { id, customer, role, state, reach, has_factor })
        },
    )
}

fn token() -> impl Strategy<Value = Record> {
    let owner = prop_oneof![
        any::<u128>().prop_map(|id| Owner::User(UserId::from_bits(id))),
        ".{0,9}".prop_map(|role| Owner::Customer { role }),
    ];
    let services = prop::collection::vec(any::<u128>().prop_map(ServiceId::from_bits), 0..5)
        .prop_map(|list| Services::only(list).unwrap_or(Services::All));
    let time = || prop::option::of(any::<i64>().prop_map(Timestamp::from_micros));
    let ids = (any::<u128>(), any::<u128>(), any::<[u8; 32]>());
    (ids, owner, ".{0,20}", services, time(), time(), any::<bool>(), any::<bool>()).prop_map(
        |((id, customer, digest), owner, scope, services, expires, sudo_until, foreign, revoked)| {
            Record::Token(TokenRecord {
                id: TokenId::from_bits(id),
                digest: Digest::from_bytes(digest),
                customer: CustomerId::from_bits(customer),
                owner,
                scope,
                services,
                expires: expires.map_or(Expiry::Never, Expiry::At),
                sudo_until,
                foreign,
                revoked,
            })
        },
    )
}

fn subject() -> impl Strategy<Value = Subject> {
    (0..6_u8, any::<u128>()).prop_map(|(noun, id)| match noun {
        0 => Subject::None,
        1 => Subject::Customer(CustomerId::from_bits(id)),
        2 => Subject::User(UserId::from_bits(id)),
        3 => Subject::Service(ServiceId::from_bits(id)),
        4 => Subject::Token(TokenId::from_bits(id)),
        _ => Subject::Policy(PolicyId::from_bits(id)),
    })
}

fn record() -> impl Strategy<Value = Record> {
    let service = (any::<u128>(), any::<u128>()).prop_map(|(id, customer)| {
        let (id, customer) = (ServiceId::from_bits(id), CustomerId::from_bits(customer));
        Record::Service(ServiceRecord { id, customer })
    });
    let retired = prop::collection::vec(".{0,9}", 0..3);
    let policy = (any::<u128>(), prop::option::of(".{0,3000}"), retired).prop_map(|(id, text, retired)| {
        Record::Policy(PolicyRecord { id: PolicyId::from_bits(id), text, retired })
    });
    let tokens = prop::collection::vec((any::<u128>(), any::<[u8; 32]>()), 0..9);
    let revoked = (any::<u128>(), any::<u128>(), tokens).prop_map(|(by, customer, tokens)| {
        let token = |(id, digest)| (TokenId::from_bits(id), Digest::from_bytes(digest));
        Record::Revoked(RevokedRecord {
            by: MassRevokeId::from_bits(by),
            customer: CustomerId::from_bits(customer),
            tokens: tokens.into_iter().map(token).collect(),
        })
    });
    prop_oneof![customer(), user(), service, token(), policy, revoked, subject().prop_map(Record::Broken)]
}

fn head(count: usize) -> Head {
    Head { after: 4, position: 7, complete: true, count: u32::try_from(count).unwrap() }
}

fn read(bytes: &[u8]) -> Result<Option<Frame>, Bad> {
    let mut frames = Frames::default();
    frames.push(bytes);
    frames.frame()
}

/// A frame with one record, however its envelope is written.
fn framed(envelope: &Envelope) -> Bytes {
    part(Stage::Tail, &head(1), &[envelope.encode_length_delimited_to_vec().into()])
}

fn only(frame: Frame) -> Option<Record> {
    let Frame::Records(_, _, mut records) = frame else { panic!("records") };
    assert!(records.len() <= 1);
    records.pop()
}

fn envelope(record: &Record) -> Envelope {
    Envelope::decode_length_delimited(encode(record)).unwrap()
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        records in prop::collection::vec(record(), 0..40),
        stage in select(vec![Stage::Snapshot, Stage::Tail]),
        cut in 1..50_usize,
    ) {
        let said = [
            Frame::Hello(Hello { version: 1, node: "a".to_owned(), ..Hello::default() }),
            Frame::Records(stage, head(records.len()), records),
            Frame::Beat(Beat { position: 7, hash: vec![1; 32] }),
            Frame::Check(Check { position: 7, digest: vec![2; 16] }),
            Frame::End(End { code: "stopping".to_owned() }),
        ];
        let line: Vec<u8> = said.iter().flat_map(|frame| frame.encode().to_vec()).collect();
        let (mut frames, mut heard) = (Frames::default(), Vec::new());
        for piece in line.chunks(cut) {
            frames.push(piece);
            while let Some(frame) = frames.frame().unwrap() {
                heard.push(frame);
            }
        }
        prop_assert_eq!(&heard[..], &said[..]);
    }

    #[test]
    fn garbage_is_refused_and_nothing_else(garbage in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut frames = Frames::default();
        frames.push(&garbage);
        while let Ok(Some(_)) = frames.frame() {}
    }

    /// What was changed on its way is refused, or read as something; it takes no memory that it does not have.
    #[test]
    fn a_changed_frame_does_no_harm(
        records in prop::collection::vec(record(), 1..20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
    ) {
        let mut line = Frame::Records(Stage::Tail, head(records.len()), records).encode().to_vec();
        for (place, byte) in changes {
            let place = place.index(line.len() - 4) + 4;
            line[place] = byte;
        }
        let mut frames = Frames::default();
        frames.push(&line);
        while let Ok(Some(_)) = frames.frame() {}
    }

    /// K21: what a newer node says of a thing, and this one does not know, may be what restricts it.
    #[test]
    fn a_field_that_nobody_knows_is_not_left_out(record in record(), lenient: bool) {
        let mut envelope = envelope(&record);
        let mut body = envelope.body.to_vec();
        prost::encoding::string::encode(900, &"only on Sundays".to_owned(), &mut body);
        (envelope.body, envelope.lenient) = (body.into(), lenient);
        let told = only(read(&framed(&envelope)).unwrap().unwrap());
        let is_broken = matches!(record, Record::Broken(_));
        let doubted = match subject_of(&record) {
            // Which tokens it is about cannot be told, and it may be any.
            Subject::MassRevoke(_) => Subject::None,
            subject => subject,
        };
        let expected = if lenient && !is_broken { record } else { Record::Broken(doubted) };
        prop_assert_eq!(told, Some(expected));
    }

    #[test]
    fn a_kind_that_nobody_knows_is_about_what_it_says(subject in subject(), lenient: bool) {
        let known = envelope(&Record::Broken(subject));
        let unknown = Envelope { kind: 77, lenient, body: Bytes::from_static(b"\x08\x01"), ..known };
        let told = only(read(&framed(&unknown)).unwrap().unwrap());
        prop_assert_eq!(told, (!lenient).then_some(Record::Broken(subject)));
    }
}

#[test]
fn what_is_about_something_that_nobody_knows_is_about_everything() {
    let unknown = Envelope { kind: 77, noun: 99, id: Bytes::from_static(&[1; 16]), ..Envelope::default() };
    assert_eq!(only(read(&framed(&unknown)).unwrap().unwrap()), Some(Record::Broken(Subject::None)));
    let odd = Envelope { kind: 4, noun: 4, id: Bytes::from_static(&[1; 15]), ..Envelope::default() };
    assert_eq!(only(read(&framed(&odd)).unwrap().unwrap()), Some(Record::Broken(Subject::None)));
}

#[test]
fn what_is_missing_permits_nothing() {
    for noun in 1..7 {
        let id = Bytes::from_static(&[1; 16]);
        let empty = Envelope { kind: if noun == 6 { 5 } else { noun }, noun, id, ..Envelope::default() };
        let told = only(read(&framed(&empty)).unwrap().unwrap()).unwrap();
        let is_policy = matches!(&told, Record::Policy(policy) if policy.text.is_none());
        assert!(is_policy || matches!(told, Record::Broken(_)), "{told:?}");
    }
}

#[test]
fn a_frame_that_nobody_knows_is_skipped_if_it_says_so() {
    let (unknown, skippable) = ([0, 0, 0, 1, 99, 0, 5], [0, 0, 0, 1, 99, 2, 5]);
    assert!(matches!(read(&unknown), Err(Bad::Kind(99))));
    let beat = Frame::Beat(Beat::default());
    assert_eq!(read(&[&skippable[..], &beat.encode()].concat()).unwrap(), Some(beat));
}

#[test]
fn lengths_that_are_claimed_take_no_memory() {
    assert!(matches!(read(&[255, 255, 255, 255, 1, 0]), Err(Bad::Long(_))));
    // A megabyte of nothing, packed many times over what a frame may be.
    let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 19).unwrap();
    let len = u32::try_from(bomb.len()).unwrap().to_be_bytes();
    let frame = [&len[..], &[3, 1], &bomb].concat();
    assert!(matches!(read(&frame), Err(Bad::Long(_))));
    let many = part(Stage::Tail, &Head { count: u32::MAX, ..head(0) }, &[]);
    assert!(matches!(read(&many), Err(Bad::Many(_))));
    let none = part(Stage::Tail, &head(5), &[]);
    assert!(matches!(read(&none), Err(Bad::Body(_))));
}

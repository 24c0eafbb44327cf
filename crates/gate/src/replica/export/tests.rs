use std::sync::Arc;

use keygate_model::{
    Action, Batch, CustomerId, Expiry, Networks, Policy, PolicyId, Position, ServiceId, Timestamp, TokenId,
    authorization::Permission, policy::OWN_POLICY, record::PolicyRecord,
};

use super::*;
use crate::Gate;

const ACME: CustomerId = CustomerId::from_bits(1);
const OTHER: CustomerId = CustomerId::from_bits(2);

fn gate(records: impl IntoIterator<Item = Record>) -> Gate {
    let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()), 0);
    gate.apply(Batch { position: Position(3), records: records.into_iter().collect() });
    gate.open();
    gate
}

fn customer(id: CustomerId, state: CustomerState, rules: Rules) -> Record {
    Record::Customer(CustomerRecord { id, state, rules })
}

fn user(id: u128, state: UserState, reach: Reach, has_factor: bool) -> Record {
    let (id, role) = (UserId::from_bits(id), "engineer".to_owned());
    Record::User(UserRecord { id, customer: ACME, role, state, reach, has_factor })
}

fn token(id: u128, customer: CustomerId, owner: Owner, services: Services, sudo: Option<i64>) -> Record {
    Record::Token(TokenRecord {
        id: TokenId::from_bits(id),
        digest: Digest::of(&id.to_be_bytes()),
        customer,
        owner,
        scope: "global purge_all".to_owned(),
        services,
        expires: if id.is_multiple_of(2) {
            Expiry::Never
        } else {
            Expiry::At(Timestamp::from_seconds(1_900_000_000))
        },
        sudo_until: sudo.map(Timestamp::from_seconds),
        foreign: false,
        revoked: false,
    })
}

fn policy(text: Option<&str>) -> Record {
    let retired = vec!["scope old".to_owned()];
    Record::Policy(PolicyRecord { id: PolicyId::from_bits(8), text: text.map(str::to_owned), retired })
}

fn everything() -> Vec<Record> {
    let networks = Networks::parse("192.0.2.0/24").unwrap();
    let rules = Rules { networks, forbids: vec![Action::PURGE_ALL], force_factor: true };
    let service = ServiceId::from_bits(7);
    let reach = Reach::Granted([(service, Permission::PurgeAll)].into_iter().collect());
    let machine = || Owner::Customer { role: "billing".to_owned() };
    vec![
        customer(ACME, CustomerState::Active, rules),
        customer(OTHER, CustomerState::Suspended, Rules::default()),
        user(10, UserState::Active, Reach::All, true),
        user(11, UserState::Locked, reach, false),
        user(12, UserState::Deleted, Reach::All, false),
        Record::Service(ServiceRecord { id: service, customer: ACME }),
        token(20, ACME, Owner::User(UserId::from_bits(10)), Services::All, Some(1_800_000_000)),
        token(21, ACME, Owner::User(UserId::from_bits(11)), Services::only([service]).unwrap(), None),
        token(22, OTHER, machine(), Services::All, None),
        token(23, ACME, machine(), Services::All, None),
        policy(None),
        Record::Broken(Subject::Policy(PolicyId::from_bits(9))),
    ]
}

/// Each record as it might be otherwise.
fn otherwise() -> Vec<Record> {
    let machine = Owner::Customer { role: "user".to_owned() };
    vec![
        customer(ACME, CustomerState::Active, Rules::default()),
        customer(OTHER, CustomerState::Active, Rules::default()),
        user(10, UserState::Locked, Reach::All, true),
        user(11, UserState::Locked, Reach::All, false),
        user(12, UserState::Deleted, Reach::All, true),
        Record::Service(ServiceRecord { id: ServiceId::from_bits(7), customer: OTHER }),
        token(20, ACME, Owner::User(UserId::from_bits(10)), Services::All, None),
        token(21, ACME, Owner::User(UserId::from_bits(11)), Services::All, None),
        token(22, OTHER, machine.clone(), Services::All, None),
        token(23, ACME, machine, Services::All, None),
        policy(Some("name = \"x\"")),
        Record::Policy(PolicyRecord { id: PolicyId::from_bits(9), text: None, retired: Vec::new() }),
    ]
}

#[test]
fn what_is_told_again_makes_the_same() {
    let first = gate(everything());
    let mut told = Vec::new();
    first.export(|record| told.push(record));
    assert_eq!(told.len(), everything().len());
    assert_eq!(gate(told).digest(None), first.digest(None));
}

#[test]
fn the_sum_knows_no_order_and_every_difference() {
    let right = gate(everything()).digest(None);
    assert_eq!(gate(everything().into_iter().rev()).digest(None), right);
    assert_eq!(gate([everything(), everything()].concat()).digest(None), right);
    for (place, record) in otherwise().into_iter().enumerate() {
        let mut records = everything();
        records[place] = record;
        assert_ne!(gate(records.clone()).digest(None), right, "{:?}", records[place]);
        records.remove(place);
        assert_ne!(gate(records).digest(None), right, "without {place}");
    }
}

#[test]
fn the_sum_of_a_customer_is_about_its_own() {
    let sums = |records: Vec<Record>| [ACME, OTHER].map(|id| gate(records.clone()).digest(Some(id)));
    let [acmes, others] = sums(everything());
    assert_ne!(acmes, others);
    let mut records = everything();
    records.retain(|record| !matches!(record, Record::Token(token) if token.customer == OTHER));
    let [acmes_now, others_now] = sums(records);
    assert!(acmes_now == acmes && others_now != others);
}

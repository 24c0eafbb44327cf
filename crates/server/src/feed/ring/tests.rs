use keygate_gate::wire::Frames;
use keygate_model::{
    CustomerId, Digest, MassRevokeId, Policy, Record, ServiceId, TokenId,
    policy::OWN_POLICY,
    record::{PolicyRecord, RevokedRecord, ServiceRecord},
};

use super::*;

const MINE: CustomerId = CustomerId::from_bits(1);
const THEIRS: CustomerId = CustomerId::from_bits(2);

fn push(ring: &mut Ring, batch: &Batch) {
    if !ring.passes(batch.position) {
        let mut audiences = Audiences::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()));
        ring.push(batch.position, Changes::of(batch, ring.last(), &mut audiences));
    }
}

fn batch(position: i64, records: Vec<Record>) -> Batch {
    Batch { position: Position(position), records }
}

fn service(customer: CustomerId, id: u128) -> Record {
    Record::Service(ServiceRecord { id: ServiceId::from_bits(id), customer })
}

/// A policy of this length that nothing can be made of: it concerns no customer.
fn long(len: usize) -> Record {
    let text = (0..len).map(|place| char::from(b'a' + (place * place % 26) as u8)).collect();
    Record::Policy(PolicyRecord {
        id: keygate_model::PolicyId::from_bits(1),
        text: Some(text),
        retired: Vec::new(),
    })
}

fn heads(ring: &Ring, view: View, from: u64) -> Vec<(Head, Vec<Record>)> {
    let mut frames = Frames::default();
    for number in from..ring.end() {
        if let Thing::Records(changes) = &*ring.get(number).unwrap().unwrap() {
            frames.push(&changes.frame(view));
        }
    }
    let mut heads = Vec::new();
    while let Some(frame) = frames.frame().unwrap() {
        let Frame::Records(Stage::Tail, head, records) = frame else { panic!("{frame:?}") };
        heads.push((head, records));
    }
    heads
}

#[test]
fn nothing_is_kept_before_anybody_has_followed() {
    let mut ring = Ring::default();
    push(&mut ring, &batch(5, vec![service(MINE, 1)]));
    assert_eq!((ring.end(), ring.last(), ring.after(Position(4))), (0, Position(5), None));
    assert_eq!(ring.enter(View::All), 0);
    ring.leave(View::All);
    push(&mut ring, &batch(6, vec![service(MINE, 1)]));
    assert_eq!((ring.end(), ring.after(Position(5)), ring.after(Position(6))), (1, Some(0), Some(1)));
    assert_eq!(ring.views(), []);
}

#[test]
fn each_is_told_of_its_own_and_all_of_every_position() {
    let mut ring = Ring::default();
    ring.enter(View::All);
    push(&mut ring, &batch(1, vec![service(MINE, 1), service(THEIRS, 2)]));
    push(&mut ring, &batch(2, vec![service(THEIRS, 3)]));
    let told =
        |view| heads(&ring, view, 0).into_iter().map(|(head, records)| (head.after, head.position, records));
    let mine: Vec<_> = told(View::Customer(MINE)).collect();
    assert_eq!(mine, [(0, 1, vec![service(MINE, 1)]), (1, 2, vec![])]);
    let all: Vec<_> = told(View::All).collect();
    let everything = vec![service(MINE, 1), service(THEIRS, 2)];
    assert_eq!(all, [(0, 1, everything), (1, 2, vec![service(THEIRS, 3)])]);
}

#[test]
fn a_large_change_comes_in_parts_of_which_the_last_says_so() {
    let mut ring = Ring::default();
    ring.enter(View::All);
    let many = (0..20_000).map(|id| service(MINE, id)).collect::<Vec<_>>();
    push(&mut ring, &batch(9, many.clone()));
    let parts = heads(&ring, View::All, 0);
    assert!(parts.len() > 2);
    let (last, first) = parts.split_last().unwrap();
    assert!(last.0.complete && first.iter().all(|(head, _)| !head.complete));
    assert!(parts.iter().all(|(head, _)| (head.after, head.position) == (0, 9)));
    assert_eq!(parts.into_iter().flat_map(|(_, records)| records).collect::<Vec<_>>(), many);
    // Whoever holds what was before it is told all of it.
    assert_eq!(ring.after(Position(0)), Some(0));
}

#[test]
fn a_change_that_is_larger_than_the_ring_is_kept_while_others_follow() {
    let mut ring = Ring::default();
    let (here, tokens) = (ring.enter(View::All), 400_000_u128);
    let revoked = |from: u128| {
        let token = |id| (TokenId::from_bits(id), Digest::of(&id.to_be_bytes()));
        let (by, tokens) = (MassRevokeId::from_bits(1), (from..from + 500).map(token).collect());
        Record::Revoked(RevokedRecord { by, customer: MINE, tokens })
    };
    push(&mut ring, &batch(1, (0..tokens).step_by(500).map(revoked).collect()));
    ring.push_beat(&Beat { position: 1, hash: vec![0; 32] });
    // What comes after it, and is half of what is kept.
    let after = 2..(CHANGE_MAX / 250_000 / 3) as i64;
    for position in after.clone() {
        push(&mut ring, &batch(position, vec![long(250_000)]));
    }
    let told = heads(&ring, View::Customer(MINE), here);
    let of_it = |position| told.iter().filter(move |(head, _)| head.position == position);
    assert!(of_it(1).next_back().unwrap().0.complete);
    let count = of_it(1).flat_map(|(_, records)| records).map(|record| match record {
        Record::Revoked(revoked) => revoked.tokens.len(),
        record => panic!("{record:?}"),
    });
    assert_eq!(count.sum::<usize>() as u128, tokens);
    assert_eq!(ring.after(Position(0)), Some(here));
    // One more of its kind fits beside it, and no third.
    for (nth, position) in (after.end..).take(2).enumerate() {
        assert_eq!(ring.get(here).is_ok(), nth == 0);
        push(&mut ring, &batch(position, (0..tokens).step_by(500).map(revoked).collect()));
        assert!(ring.bytes <= BYTES_MAX, "{}", ring.bytes);
    }
    assert_eq!(ring.get(here).err(), Some(Forgotten));
}

#[test]
fn who_is_slower_than_the_ring_finds_nothing_and_the_ring_stays_small() {
    let mut ring = Ring::default();
    let slow = ring.enter(View::All);
    for position in 1..=200 {
        push(&mut ring, &batch(position, vec![long(250_000)]));
        assert!(ring.bytes <= BYTES_MAX, "{}", ring.bytes);
    }
    let held: usize = ring.things.iter().map(|(_, counts)| counts).sum();
    assert_eq!(held, ring.bytes);
    let lens = ring.things.iter().map(|(thing, _)| match &**thing {
        Thing::Records(changes) => {
            changes.all.len() + changes.tellings.iter().map(|telling| telling.record.len()).sum::<usize>()
        }
        Thing::Beat(..) | Thing::Checks(..) => 0,
    });
    assert!((BYTES_MAX / 2..BYTES_MAX).contains(&lens.sum()));
    assert_eq!(ring.get(slow).err(), Some(Forgotten));
    assert_eq!(ring.after(Position(1)), None);
    assert!(ring.get(ring.end() - 1).unwrap().is_some() && ring.get(ring.end()).unwrap().is_none());
    assert_eq!(ring.after(Position(199)), Some(ring.end() - 1));
}

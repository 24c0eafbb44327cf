use std::sync::Arc;

use keygate_model::{
    Policy, TokenId,
    customer::{CustomerState, Rules},
    policy::OWN_POLICY,
    record::CustomerRecord,
};

use super::*;

fn gate() -> Gate {
    Gate::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()), 0)
}

fn customer(id: u128) -> Record {
    let (id, state, rules) = (CustomerId::from_bits(id), CustomerState::Active, Rules::default());
    Record::Customer(CustomerRecord { id, state, rules })
}

fn hello(epoch: u64, position: i64, snapshot: bool) -> Hello {
    Hello { version: VERSION, oldest: VERSION, epoch, position, snapshot, ..Hello::default() }
}

fn records(stage: Stage, after: i64, position: i64, complete: bool) -> Frame {
    let head = Head { after, position, complete, count: 1 };
    Frame::Records(stage, head, vec![customer(position.unsigned_abs().into())])
}

fn beat(position: i64) -> Frame {
    Frame::Beat(Beat { position, hash: vec![1; 32] })
}

/// What comes of these frames, one after the other, up to the first that is refused.
fn heard(gate: &Gate, known: &mut Known, hello: &Hello, frames: Vec<Frame>) -> Result<(), Why> {
    let mut intake = Intake::begin(gate, known, hello)?;
    frames.into_iter().try_for_each(|frame| intake.take(gate, known, frame).map(drop))
}

fn whole(position: i64) -> Vec<Frame> {
    vec![records(Stage::Snapshot, 0, position, false), records(Stage::Snapshot, 0, position, true)]
}

#[test]
fn a_half_of_a_snapshot_is_nothing() {
    let (gate, mut known) = (gate(), Known::default());
    heard(&gate, &mut known, &hello(1, 5, true), whole(5)[..1].to_vec()).unwrap();
    assert!(!gate.is_open() && gate.position() == Position(0));
    assert_eq!(known.path(&gate), "/feed");
    heard(&gate, &mut known, &hello(1, 5, true), whole(5)).unwrap();
    assert!(gate.is_open() && gate.position() == Position(5));
    // And a half of the next one changes nothing of what is held.
    let held = gate.digest(None);
    heard(&gate, &mut known, &hello(1, 9, true), whole(9)[..1].to_vec()).unwrap();
    assert_eq!((gate.position(), gate.digest(None)), (Position(5), held));
}

#[test]
fn what_follows_is_applied_in_order_and_nothing_is_left_out() {
    let (gate, mut known) = (gate(), Known::default());
    let tail = |after, position| records(Stage::Tail, after, position, true);
    heard(&gate, &mut known, &hello(1, 5, true), [whole(5), vec![tail(5, 6), tail(6, 8), beat(8)]].concat())
        .unwrap();
    assert_eq!(gate.position(), Position(8));
    assert_eq!(known.path(&gate), format!("/feed?from=8&hash={}&epoch=1", "01".repeat(32)));
    let resumed =
        |frames| heard(&gate, &mut Known { whole: Some(1), ..Known::default() }, &hello(1, 8, false), frames);
    assert!(matches!(resumed(vec![tail(9, 10)]), Err(Why::Gap { .. })));
    assert!(matches!(resumed(vec![beat(9)]), Err(Why::Gap { .. })));
    assert!(matches!(resumed(vec![tail(5, 7)]), Err(Why::Behind { .. })), "older than what is held");
    assert!(matches!(resumed(vec![tail(7, 8)]), Err(Why::Behind { .. })), "as old as what is held");
    assert!(matches!(resumed(vec![beat(7)]), Err(Why::Behind { .. })));
    assert!(matches!(resumed(whole(9)), Err(Why::Unexpected)), "no snapshot was said to follow");
    resumed(vec![tail(7, 9)]).unwrap();
    assert_eq!(gate.position(), Position(9), "what tells more than is missing is whole");
}

#[test]
fn a_part_is_not_the_whole_of_a_change() {
    let (gate, mut known) = (gate(), Known::default());
    let part = |complete| records(Stage::Tail, 5, 7, complete);
    heard(&gate, &mut known, &hello(1, 5, true), [whole(5), vec![part(false)]].concat()).unwrap();
    assert_eq!(gate.position(), Position(5));
    heard(&gate, &mut known, &hello(1, 7, false), vec![part(false), part(true)]).unwrap();
    assert_eq!(gate.position(), Position(7));
}

#[test]
fn nothing_goes_backwards_but_into_a_new_epoch() {
    let (gate, mut known) = (gate(), Known::default());
    heard(&gate, &mut known, &hello(2, 9, true), whole(9)).unwrap();
    let behind = |known: &mut Known, hello: &Hello, position| {
        matches!(heard(&gate, known, hello, whole(position)), Err(Why::Behind { .. }))
    };
    assert!(behind(&mut known, &hello(2, 8, true), 8), "a node that says so");
    assert!(behind(&mut known, &hello(2, 9, true), 8), "a snapshot that is older than its node");
    assert!(behind(&mut known, &hello(1, 90, true), 90), "an epoch that is over");
    assert_eq!(gate.position(), Position(9));
    known.forget();
    assert!(behind(&mut known, &hello(2, 8, true), 8), "also where all is to be told anew");
    heard(&gate, &mut known, &hello(3, 4, true), whole(4)).unwrap();
    assert_eq!(gate.position(), Position(4), "an operator has raised it");
}

#[test]
fn sums_are_compared() {
    let (gate, mut known) = (gate(), Known::default());
    let check = |digest: u128| Frame::Check(Check { position: 5, digest: digest.to_be_bytes().to_vec() });
    heard(&gate, &mut known, &hello(1, 5, true), whole(5)).unwrap();
    let right = gate.digest(None);
    let mut resumed = |frames| heard(&gate, &mut known, &hello(1, 5, false), frames);
    resumed(vec![check(right)]).unwrap();
    assert!(matches!(resumed(vec![check(right + 1)]), Err(Why::Differs { .. })));
}

#[test]
fn who_speaks_to_newer_readers_only_is_not_followed() {
    let newer = Hello { version: VERSION + 7, oldest: VERSION + 1, ..hello(1, 5, true) };
    assert!(matches!(heard(&gate(), &mut Known::default(), &newer, whole(5)), Err(Why::TooOld(_))));
    let readable = Hello { oldest: VERSION, ..newer };
    heard(&gate(), &mut Known::default(), &readable, whole(5)).unwrap();
}

#[test]
fn a_token_that_cannot_be_believed_is_not_looked_for_in_a_snapshot() {
    let (gate, mut known) = (gate(), Known::default());
    let broken = Record::Broken(Subject::Token(TokenId::from_bits(1)));
    let head = Head { after: 0, position: 5, complete: true, count: 2 };
    let frames = vec![Frame::Records(Stage::Snapshot, head, vec![broken, customer(1)])];
    heard(&gate, &mut known, &hello(1, 5, true), frames).unwrap();
    assert!(gate.is_open());
    let head = Head { after: 5, position: 6, complete: true, count: 1 };
    let lost = vec![Frame::Records(Stage::Tail, head, vec![Record::Broken(Subject::None)])];
    heard(&gate, &mut known, &hello(1, 6, false), lost).unwrap();
    assert!(!gate.is_open(), "the log itself is broken");
    heard(&gate, &mut known, &hello(1, 7, true), whole(7)).unwrap();
    assert!(gate.is_open(), "what is told anew stands for itself");
}

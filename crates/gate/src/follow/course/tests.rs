use keygate_model::{Policy, policy::OWN_POLICY};

use super::*;
use crate::{
    lease::Lease,
    wire::{Beat, Head, Stage, VERSION},
};

const NOW: Uptime = Uptime::from_micros(1_000_000);

fn course() -> Course {
    let lease = Lease::of(Lease::DEFAULT, || NOW);
    let gate = Gate::new(Arc::new(Policy::compile(OWN_POLICY).unwrap()), 0).with_lease(lease);
    Course::new(Arc::new(gate), Session(1))
}

/// Follows a node that is there, and tells everything.
fn begin(course: &mut Course, epoch: u64, position: i64) {
    let hello = Hello { oldest: VERSION, epoch, position, snapshot: true, ..Hello::default() };
    course.begin(&hello).unwrap();
}

fn fill(course: &mut Course, position: i64) {
    let head = Head { after: 0, position, complete: true, count: 0 };
    drop(course.take(Frame::Records(Stage::Snapshot, head, Vec::new())).unwrap());
}

fn beat(course: &mut Course, position: i64, hash: u8) {
    let beat = Frame::Beat(Beat { position, hash: vec![hash; 32] });
    drop(course.take(beat).unwrap());
}

/// Whether a heartbeat that is sent now, and echoed by a node that is there, proves that the gate is current.
fn renew(course: &mut Course, nonce: u128, epoch: u64, position: i64) -> bool {
    let Heartbeat { session, nonce, .. } = course.heartbeat(Nonce(nonce), NOW);
    let position = Position(position);
    let _ = course.echoed(&Echo { session, epoch: Epoch(epoch), nonce, position, granted: Lease::DEFAULT });
    course.gate.lease().holds()
}

#[test]
fn what_was_proved_in_one_epoch_is_over_with_what_is_told_of_another() {
    let mut course = course();
    begin(&mut course, 1, 9);
    fill(&mut course, 9);
    assert!(renew(&mut course, 1, 1, 9));
    begin(&mut course, 1, 9);
    fill(&mut course, 9);
    assert!(course.gate.lease().holds(), "it is about the same record");
    begin(&mut course, 2, 5);
    assert!(course.gate.lease().holds(), "by what is still held");
    fill(&mut course, 5);
    assert!(!course.gate.lease().holds());
    assert!(renew(&mut course, 2, 2, 5));
}

#[test]
fn positions_in_another_epoch_confirm_and_prove_nothing() {
    let mut course = course();
    begin(&mut course, 1, 9);
    fill(&mut course, 9);
    begin(&mut course, 2, 9);
    let heartbeat = course.heartbeat(Nonce(1), NOW);
    assert_eq!((heartbeat.epoch, heartbeat.applied), (Epoch(2), Position(0)));
    assert!(!renew(&mut course, 2, 2, 9), "what is held is of the epoch before");
    fill(&mut course, 9);
    assert!(course.gate.lease().holds(), "now it is caught up with");
    assert_eq!(course.heartbeat(Nonce(3), NOW).applied, Position(9));
}

#[test]
fn where_it_has_been_outlasts_what_is_held() {
    let mut before = course();
    assert_eq!(before.path(), "/feed");
    begin(&mut before, 1, 9);
    fill(&mut before, 9);
    assert_eq!(before.path(), "/feed", "the hash there was not heard");
    beat(&mut before, 9, 7);
    let asked = format!("/feed?from=9&hash={}&epoch=1", "07".repeat(32));
    assert_eq!(before.path(), asked);
    before.ended(&Why::Unexpected);
    assert_eq!(before.path(), format!("{asked}&anew=true"));
    let mut anew = course();
    anew.begin_with(None, before.past().clone());
    assert_eq!(anew.path(), format!("{asked}&anew=true"), "a run that has nothing but this");
    begin(&mut anew, 2, 4);
    fill(&mut anew, 4);
    beat(&mut anew, 4, 8);
    let heard = Place { epoch: 2, position: Position(4), hash: vec![8; 32] };
    assert_eq!(*anew.past(), Past { high: (2, Position(4)), heard: Some(heard) });
}

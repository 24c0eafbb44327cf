use proptest::prelude::*;

use super::*;

const LEASE: Span = Span::seconds::<30>();

fn at(second: u64) -> Uptime {
    Uptime::from_micros(second * 1_000_000)
}

fn says(session: u128, nonce: u128, applied: i64) -> Heartbeat {
    Heartbeat { session: Session(session), epoch: Epoch(1), nonce: Nonce(nonce), applied: Position(applied) }
}

fn hear(gates: &mut Gates, session: u128, nonce: u128, applied: i64, second: u64) {
    let heartbeat = says(session, nonce, applied);
    gates.heard(&heartbeat, &format!("gate-{session}"), LEASE, at(second)).expect("room");
}

fn until(gates: &Gates, position: i64, committed: u64, now: u64) -> Option<u64> {
    match gates.enforced(Position(position), at(committed), at(now)) {
        Enforcement::Enforced(_) => None,
        Enforcement::Waiting { until, .. } => Some(until.micros() / 1_000),
    }
}

#[test]
fn nobody_is_waited_for_where_nobody_is() {
    let gates = Gates::complete(Drift::DEFAULT);
    assert_eq!(gates.enforced(Position(1), at(0), at(0)), Enforcement::Enforced(vec![]));
}

#[test]
fn a_gate_is_waited_for_until_it_confirms() {
    let mut gates = Gates::complete(Drift::DEFAULT);
    hear(&mut gates, 1, 1, 6, 100);
    hear(&mut gates, 2, 2, 6, 101);
    assert_eq!(until(&gates, 7, 102, 102), Some(131_060), "the longest lease, by a clock that is too fast");
    hear(&mut gates, 1, 3, 7, 103);
    assert_eq!(until(&gates, 7, 102, 103), Some(131_060));
    hear(&mut gates, 2, 4, 9, 104);
    hear(&mut gates, 2, 5, 11, 120);
    let Enforcement::Enforced(lines) = gates.enforced(Position(7), at(102), at(120)) else {
        panic!("both have");
    };
    let after = |seconds| How::Confirmed { after: Duration::from_secs(seconds) };
    let of = |line: &Line| (line.name.to_string(), line.position, line.how);
    assert_eq!(
        lines.iter().map(of).collect::<Vec<_>>(),
        [("gate-1".to_owned(), Position(7), after(1)), ("gate-2".to_owned(), Position(11), after(2))]
    );
}

#[test]
fn a_gate_that_is_silent_is_waited_for_until_its_lease_has_ended() {
    let mut gates = Gates::complete(Drift::ppm(0).expect("none"));
    hear(&mut gates, 1, 1, 6, 100);
    assert_eq!(until(&gates, 7, 110, 129), Some(130_000));
    let Enforcement::Enforced(lines) = gates.enforced(Position(7), at(110), at(130)) else {
        panic!("its lease has ended");
    };
    assert_eq!(lines[0].how, How::LeaseEnded { after: Duration::from_secs(20) });
    assert_eq!(lines[0].position, Position(6));
    assert_eq!(gates.live(at(129)), 1);
    assert_eq!(gates.live(at(130)), 0);
    let later = gates.enforced(Position(8), at(130), at(131));
    assert_eq!(later, Enforcement::Enforced(vec![]), "it was not answering when that was committed");
}

#[test]
fn a_heartbeat_that_comes_twice_is_heard_once_and_grants_the_most_that_it_was_granted() {
    let mut gates = Gates::complete(Drift::ppm(0).expect("none"));
    hear(&mut gates, 1, 1, 6, 100);
    hear(&mut gates, 1, 1, 6, 120);
    assert_eq!(until(&gates, 7, 121, 121), Some(130_000));
    gates.heard(&says(1, 1, 6), "gate-1", Span::seconds::<600>(), at(125)).expect("room");
    assert_eq!(until(&gates, 7, 126, 126), Some(700_000));
    hear(&mut gates, 1, 2, 6, 127);
    assert_eq!(until(&gates, 7, 128, 128), Some(700_000), "a shorter one takes nothing back");
}

#[test]
fn two_runs_of_one_name_are_two_gates() {
    let mut gates = Gates::complete(Drift::DEFAULT);
    gates.heard(&says(1, 1, 6), "gate", LEASE, at(100)).expect("room");
    gates.heard(&says(2, 2, 7), "gate", LEASE, at(100)).expect("room");
    assert!(until(&gates, 7, 101, 101).is_some(), "the older of them has not said so");
}

#[test]
fn after_a_start_those_are_waited_for_that_nobody_tells_of() {
    let gates = Gates::after_start(Drift::ppm(0).expect("none"), LEASE, at(50));
    assert_eq!(until(&gates, 1, 60, 60), Some(80_000));
    assert_eq!(until(&gates, 1, 60, 80), None);
}

#[test]
fn the_book_is_bounded_and_tidied() {
    let mut gates = Gates::complete(Drift::DEFAULT);
    for session in 0..RUNS_MAX as u128 {
        gates.heard(&says(session, 1, 1), "gate", LEASE, at(0)).expect("room");
    }
    let one_more = says(u128::MAX, 1, 1);
    assert_eq!(gates.heard(&one_more, "gate", LEASE, at(1)), Err(TooManyGates));
    assert_eq!(gates.heard(&one_more, "gate", LEASE, at(1_000)), Ok(()), "the old ones are forgotten");
    gates.tidy(at(5_000));
    assert!(gates.runs.is_empty());
}

#[test]
fn of_steps_that_are_forgotten_a_later_one_is_told() {
    let mut gates = Gates::complete(Drift::DEFAULT);
    for step in 0..200_u32 {
        hear(&mut gates, 1, step.into(), i64::from(step), step.into());
    }
    let Enforcement::Enforced(lines) = gates.enforced(Position(3), at(2), at(200)) else { panic!("it has") };
    assert_eq!(lines[0].how, How::Confirmed { after: Duration::from_secs(136 - 2) });
}

#[test]
fn clocks_that_are_too_far_off_are_none() {
    assert_eq!(Drift::ppm(500_001), None);
    assert_eq!(Drift::ppm(500_000).expect("half").outlast(Duration::from_secs(1)), Duration::from_secs(3));
}

proptest! {
    /// Two clocks, each off by as much as may be, in whatever way: who waits by one has waited long enough for the other.
    #[test]
    fn waiting_outlasts(micros in 0..4_000_000_000_u64, ppm in 0..500_000_u32, slow in any::<bool>(), fast in any::<bool>()) {
        let waited = Drift::ppm(ppm).expect("within").outlast(Duration::from_micros(micros)).as_micros();
        let (million, ppm) = (1_000_000_u128, u128::from(ppm));
        let rate = |faster: bool| if faster { million + ppm } else { million - ppm };
        // True time is `waited / rate(fast)`; the other clock then shows that times `rate(slow)`.
        let other = waited * rate(!slow) / rate(fast);
        prop_assert!(other >= micros.into());
    }

    /// Whatever is heard in whatever order: a gate is never given up before its last lease, nor confirmed before it says so.
    #[test]
    fn never_too_early(
        heard in proptest::collection::vec((0..3_u128, 0..10_u128, 0..6_i64, 0..5_u64), 1..40),
        position in 1..6_i64, wait in 0..60_u64,
    ) {
        let mut gates = Gates::complete(Drift::ppm(0).expect("none"));
        let (mut now, mut truth) = (0, BTreeMap::<u128, (i64, u64)>::new());
        let mut first = BTreeMap::new();
        for (session, nonce, applied, pause) in heard {
            now += pause;
            hear(&mut gates, session, nonce, applied, now);
            // A gate sends a nonce once, so its lease runs from when it came in first, or before.
            let sent = *first.entry((session, nonce)).or_insert(now);
            let entry = truth.entry(session).or_insert((0, 0));
            *entry = (entry.0.max(applied), entry.1.max(sent + 30));
        }
        let enforced = until(&gates, position, now, now + wait).is_none();
        let safe = truth.values().all(|(applied, ends)| *applied >= position || *ends <= now + wait);
        prop_assert!(!enforced || safe);
    }
}

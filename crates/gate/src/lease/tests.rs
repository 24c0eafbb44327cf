use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;

use super::*;

const ME: Session = Session(1);
const EPOCH: Epoch = Epoch(1);

fn at(second: u64) -> Uptime {
    Uptime::from_micros(second * 1_000_000)
}

fn echo(of: &Heartbeat, position: i64) -> Echo {
    let Heartbeat { session, epoch, nonce, .. } = *of;
    Echo { session, epoch, nonce, position: Position(position), granted: Lease::DEFAULT }
}

fn proof(sent: u64) -> Proof {
    Proof { sent: at(sent), granted: Lease::DEFAULT }
}

#[test]
fn an_echo_proves_what_was_so_when_its_heartbeat_was_sent() {
    let mut heartbeats = Heartbeats::new(ME, EPOCH);
    let (first, second) =
        (heartbeats.send(Nonce(1), Position(4), at(10)), heartbeats.send(Nonce(2), Position(4), at(12)));
    assert_eq!(heartbeats.echoed(&echo(&second, 4), Position(4)), Ok(vec![proof(12)]));
    assert_eq!(heartbeats.echoed(&echo(&first, 4), Position(4)), Ok(vec![proof(10)]), "reordered");
}

#[test]
fn an_echo_counts_once_and_for_its_own_run_and_epoch() {
    let mut heartbeats = Heartbeats::new(ME, EPOCH);
    let sent = heartbeats.send(Nonce(1), Position(4), at(10));
    let echo = echo(&sent, 4);
    let stray = |echo: Echo, why| {
        assert_eq!(heartbeats.clone().echoed(&echo, Position(4)), Err(why));
    };
    stray(Echo { session: Session(2), ..echo }, Stray::Session);
    stray(Echo { epoch: Epoch(0), ..echo }, Stray::Epoch);
    stray(Echo { nonce: Nonce(2), ..echo }, Stray::Nonce);
    stray(Echo { position: Position(3), ..echo }, Stray::Behind);
    assert_eq!(heartbeats.echoed(&echo, Position(4)), Ok(vec![proof(10)]));
    assert_eq!(heartbeats.echoed(&echo, Position(4)), Err(Stray::Nonce), "doubled");
}

#[test]
fn an_echo_from_ahead_proves_nothing_until_it_is_caught_up_with() {
    let mut heartbeats = Heartbeats::new(ME, EPOCH);
    let sent = heartbeats.send(Nonce(1), Position(4), at(10));
    assert_eq!(heartbeats.echoed(&echo(&sent, 6), Position(4)), Ok(vec![]));
    assert_eq!(heartbeats.applied(Position(5)), vec![]);
    assert_eq!(heartbeats.applied(Position(6)), vec![proof(10)]);
    assert_eq!(heartbeats.applied(Position(7)), vec![], "once");
}

#[test]
fn a_gate_that_stays_behind_still_proves_what_it_has_caught_up_with() {
    let mut heartbeats = Heartbeats::new(ME, EPOCH);
    for number in 0..100_u32 {
        let sent = heartbeats.send(Nonce(number.into()), Position(0), at(number.into()));
        assert_eq!(heartbeats.echoed(&echo(&sent, i64::from(number) + 1), Position(0)), Ok(vec![]));
    }
    assert_eq!(heartbeats.applied(Position(3)), vec![proof(0), proof(1), proof(2)]);
    assert!(heartbeats.owed.len() <= WAITING_MAX, "bounded");
}

#[test]
fn those_that_wait_for_an_echo_are_bounded() {
    let mut heartbeats = Heartbeats::new(ME, EPOCH);
    let all: Vec<_> =
        (0..40_u32).map(|n| heartbeats.send(Nonce(n.into()), Position(0), at(n.into()))).collect();
    assert_eq!(heartbeats.echoed(&echo(&all[0], 0), Position(0)), Err(Stray::Nonce), "too late");
    assert_eq!(heartbeats.echoed(&echo(&all[39], 0), Position(0)), Ok(vec![proof(39)]));
}

#[test]
fn a_lease_lapses_on_the_stroke_and_a_renewal_counts_from_the_sending() {
    let clock = Arc::new(AtomicU64::new(0));
    let hand = Arc::clone(&clock);
    let lease = Lease::of(Lease::DEFAULT, move || Uptime::from_micros(hand.load(Ordering::Relaxed)));
    let set = |time: Uptime| clock.store(time.micros(), Ordering::Relaxed);
    assert!(!lease.holds(), "nothing is proved yet, not even just after the clock has started");
    set(at(100));
    lease.renew(proof(90));
    set(Uptime::from_micros(at(120).micros() - 1));
    assert!(lease.holds());
    set(at(120));
    assert!(!lease.holds());
    lease.renew(proof(91));
    assert!(lease.holds());
    lease.renew(proof(80));
    assert!(lease.holds(), "never backwards");
    lease.end();
    assert_eq!(lease.knowledge(), Knowledge::Lapsed);
    assert_eq!(Lease::none().knowledge(), Knowledge::Current);
}

#[test]
fn the_shortest_grant_wins_and_an_older_longer_one_stays() {
    let hold = Hold::NONE.with(Proof { sent: at(10), granted: Lease::STRICT });
    assert_eq!(hold.knowledge(Lease::DEFAULT, at(15)), Knowledge::Lapsed);
    let hold = Hold::NONE.with(proof(10)).with(Proof { sent: at(12), granted: Lease::STRICT });
    let longest = Duration::from_secs(28);
    assert_eq!(
        hold.knowledge(Lease::DEFAULT, at(39)),
        Knowledge::Proved { age: Duration::from_secs(27), lease: Lease::DEFAULT, longest }
    );
    assert_eq!(hold.knowledge(Lease::DEFAULT, at(40)), Knowledge::Lapsed);
}

#[cfg(feature = "follow")]
#[test]
fn the_clock_moves_forward() {
    let times: Vec<_> = (0..1_000).map(|_| uptime()).collect();
    assert!(times.is_sorted());
    assert!(times[0] > Uptime::START);
}

proptest! {
    /// Whatever comes in whatever order: contact and limit are those of the best proof each, and never move backwards.
    #[test]
    fn renewals_commute(sent in proptest::collection::vec((0..1_000_u64, 1..100_u64), 1..20)) {
        let proof = |(sent, granted): &(u64, u64)| Proof {
            sent: at(*sent),
            granted: Span::of(Duration::from_secs(*granted)).expect("not zero"),
        };
        let mut hold = Hold::NONE;
        for one in &sent {
            let next = hold.with(proof(one));
            prop_assert!(hold.contact <= next.contact && hold.limit <= next.limit);
            hold = next;
        }
        let backwards = sent.iter().rev().fold(Hold::NONE, |hold, one| hold.with(proof(one)));
        prop_assert_eq!(hold, backwards);
        prop_assert_eq!(hold.contact, at(sent.iter().map(|(sent, _)| *sent).max().unwrap()));
        prop_assert_eq!(hold.limit, at(sent.iter().map(|(sent, granted)| sent + granted).max().unwrap()));
    }

    /// However a network treats echoes, nothing is proved that was not sent, and no later than it was sent.
    #[test]
    fn nothing_is_proved_that_was_not_sent(
        echoes in proptest::collection::vec((0..12_u128, 0..8_i64, 0..8_i64), 0..60)
    ) {
        let mut heartbeats = Heartbeats::new(ME, EPOCH);
        let sent: Vec<_> =
            (0..8_u128).map(|n| heartbeats.send(Nonce(n), Position(0), at(n as u64 * 3))).collect();
        let mut counted = 0;
        let mut applied = 0;
        for (nonce, position, step) in echoes {
            applied = applied.max(step);
            let like = Echo { nonce: Nonce(nonce), ..echo(&sent[0], position) };
            let mut proofs = heartbeats.echoed(&like, Position(applied)).unwrap_or_default();
            proofs.extend(heartbeats.applied(Position(applied)));
            counted += proofs.len();
            prop_assert!(proofs.iter().all(|proof| sent.iter().enumerate().any(|(n, _)| proof.sent == at(n as u64 * 3))));
        }
        prop_assert!(counted <= sent.len(), "each once at most");
    }
}

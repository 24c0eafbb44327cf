//! The whole protocol, simulated (K20): a record with a standby, two nodes, three gates elsewhere, people who change things
//! and people who ask, in one thread and in virtual time, by a seed. What can go wrong goes wrong.
//!
//! `KEYGATE_SEED=N cargo nextest run -p keygate-server --test sim one_seed --no-capture` tells what happens in one world.

#![expect(
    clippy::print_stdout,
    reason = "what a world went through is told by the test that lived through it"
)]

mod chance;
mod faults;
mod flaw;
mod judge;
mod node;
mod record;
mod remote;
mod truth;
#[expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]
mod versions;
mod world;

use flaw::Flaw;
use world::World;

/// Worlds that once went wrong, with what was wrong then.
const KNOWN: [(u64, &str); 2] = [
    (970, "a receipt was given by heartbeats that were read from the primary of before"),
    (823, "a gate without its state took the snapshot of a node that was left behind"),
];

/// How many worlds a test lives through: four of them come to 10⁴, or at night to 10⁶.
fn share() -> u64 {
    if std::env::var_os("KEYGATE_NIGHTLY").is_some() { 250_000 } else { 2_500 }
}

/// Lives through worlds. The first that goes wrong is told step by step.
fn live(seeds: std::ops::Range<u64>) {
    let (mut allowed, mut denied, mut untold, mut receipts) = (0, 0, 0, 0);
    for seed in seeds {
        let mut world = World::new(seed, None, false);
        if let Some(wrong) = world.run() {
            tell(seed, None, &wrong);
        }
        allowed += world.judge.allowed;
        denied += world.judge.denied;
        untold += world.judge.untold;
        receipts += world.judge.receipts;
    }
    println!("{allowed} allowed, {denied} denied, {untold} not told, {receipts} receipts");
    assert!(allowed > 0 && denied > 0 && untold > 0 && receipts > 0, "a world in which nothing happens");
}

fn tell(seed: u64, flaw: Option<Flaw>, wrong: &str) -> ! {
    let mut world = World::new(seed, flaw, true);
    let again = world.run();
    for step in world.trace.take().unwrap_or_default() {
        println!("{step}");
    }
    assert_eq!(again.as_deref(), Some(wrong), "the same seed is the same world");
    panic!("{wrong}\nKEYGATE_SEED={seed}");
}

/// One world, told step by step: `KEYGATE_SEED` says which, and `KEYGATE_SEEDS` how many more are to be tried.
#[test]
fn one_seed() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("KEYGATE_SEED").unwrap_or(0);
    live(seed..seed + number("KEYGATE_SEEDS").unwrap_or(20));
}

#[test]
fn known_seeds() {
    for (seed, wrong) in KNOWN {
        println!("{seed}, where once {wrong}");
        if let Some(wrong) = World::new(seed, None, false).run() {
            tell(seed, None, &wrong);
        }
    }
}

macro_rules! worlds {
    ($($name:ident: $share:expr,)*) => {$(
        #[test]
        fn $name() {
            live($share * share()..($share + 1) * share());
        }
    )*};
}

worlds! {
    worlds_of_the_first_quarter: 0,
    worlds_of_the_second_quarter: 1,
    worlds_of_the_third_quarter: 2,
    worlds_of_the_fourth_quarter: 3,
}

/// A planted mistake must be found, and as what it is, before so many worlds are over.
fn find(flaw: Flaw, wrong: &[&str]) {
    for seed in 0..3_000 {
        if let Some(found) = World::new(seed, Some(flaw), false).run() {
            println!("seed {seed}: {found}");
            assert!(wrong.iter().any(|wrong| found.starts_with(wrong)), "{flaw:?} is found as {found}");
            return;
        }
    }
    panic!("{flaw:?} is not found");
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident as $($wrong:literal)|+,)*) => {$(
        #[test]
        fn $name() {
            find(Flaw::$flaw, &[$($wrong),+]);
        }
    )*};
}

flaws! {
    finds_a_commit_without_the_standby: CommitsWithoutStandby as "P1",
    finds_a_lease_that_is_counted_from_the_echo: CountsFromReceipt as "P4" | "P3",
    finds_an_echo_without_a_commit: EchoesWithoutCommit as "P4" | "P3",
    finds_an_echo_that_is_counted_before_it_is_caught_up_with: CountsUnapplied as "P4" | "P3",
    finds_a_receipt_that_does_not_wait: DoesNotWait as "P4",
    finds_a_node_that_knows_its_own_gates_alone: ReadsNoBeats as "P4",
    finds_heartbeats_that_are_read_where_none_are_written: ReadsStaleBeats as "P4",
    finds_a_gate_that_confirms_what_it_has_not_applied: ConfirmsTooMuch as "P4",
    finds_a_gate_that_forgets_how_far_it_was: ForgetsHigh as "P6" | "P3" | "P4",
    finds_a_gate_that_applies_gaps: AppliesGaps as "P6",
    finds_a_gate_that_trusts_what_it_kept: TrustsWhatItKept as "P3" | "P4",
    finds_a_gate_that_keeps_the_lease_of_the_run_before: KeepsLease as "P3" | "P4" | "P6",
    finds_a_change_that_is_not_told: LeavesOut as "P6",
    finds_a_gate_that_does_not_say_where_it_has_been: HidesPast as "P7",
}

//! The protocol, in every world of a bounded size.

use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::world::{Flaw, State, Step, Takeover, World};

const AFTER_RECEIPT: &str = "nobody lets the token in after a receipt";
const AFTER_BOUND: &str = "nobody lets the token in longer than a lease after its revoke was committed";
const TOO_EARLY: &str = "a receipt is given when each gate has applied the revoke, or its lease has ended";
const STRAY: &str = "an echo for another gate counts not at all";

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        self.starts()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        self.steps(state, actions);
    }

    fn next_state(&self, before: &State, step: Step) -> Option<State> {
        self.after(before, step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(AFTER_RECEIPT, |_, state: &State| !state.wrong.allowed_after_receipt),
            Property::always(AFTER_BOUND, |_, state: &State| !state.wrong.allowed_after_bound),
            Property::always(TOO_EARLY, |_, state: &State| !state.wrong.receipt_too_early),
            Property::always(STRAY, |_, state: &State| !state.wrong.stray_counted),
            Property::sometimes("all gates confirm", |_, state: &State| {
                state.receipt && state.gates.iter().all(|gate| gate.applied.0 == 1)
            }),
            Property::sometimes("a lease is waited for", |_, state: &State| {
                state.receipt && state.gates.iter().any(|gate| gate.applied.0 == 0)
            }),
        ]
    }
}

/// Visits every state, of which there are at least so many: fewer, and the world lacks something.
fn visit(world: World, least: usize) {
    let checker = world.checker().threads(2).spawn_bfs().join();
    assert!(checker.unique_state_count() >= least, "{} states", checker.unique_state_count());
    checker.assert_properties();
}

/// Visits states until one is wrong.
fn find(flaw: Flaw, heartbeats: &[u8]) {
    let checker = World::new(flaw, heartbeats).checker().threads(2).timeout(Duration::from_secs(60));
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let wrong = [AFTER_RECEIPT, AFTER_BOUND, TOO_EARLY].map(|property| checker.discovery(property));
    let found = wrong.into_iter().flatten().next().unwrap_or_else(|| panic!("{flaw:?} is not found"));
    let steps = found.into_actions();
    assert!(steps.len() > 3, "there is more to it: {steps:?}");
}

#[test]
fn one_gate_that_is_heard_twice() {
    visit(World::new(Flaw::None, &[2]), 100_000);
}

#[test]
fn one_gate_in_a_network_that_repeats() {
    visit(World { copies: 3, ticks: 3, ..World::new(Flaw::None, &[1]) }, 10_000);
}

#[test]
fn two_gates() {
    visit(World::new(Flaw::None, &[1, 1]), 200_000);
}

#[test]
fn a_new_primary_that_waits() {
    visit(World { takeover: Takeover::Waits, copies: 2, ticks: 3, ..World::new(Flaw::None, &[1]) }, 10_000);
}

macro_rules! flaws {
    ($($name:ident: $flaw:ident in $heartbeats:expr,)*) => {$(
        #[test]
        fn $name() {
            find(Flaw::$flaw, &$heartbeats);
        }
    )*};
}

flaws! {
    finds_a_lease_that_is_counted_from_the_echo: CountsFromReceipt in [1, 1],
    finds_an_echo_without_a_commit: EchoesWithoutCommit in [1, 1],
    finds_a_receipt_that_does_not_wait: DoesNotWait in [1, 1],
    finds_clocks_that_are_trusted: TrustsClocks in [1, 1],
    finds_an_answer_by_what_was_found_before: DoesNotLookAgain in [2],
    finds_a_new_primary_that_forgets: ForgetsGrants in [1, 1],
    finds_an_echo_that_is_counted_before_it_is_caught_up_with: CountsUnapplied in [1, 1],
}

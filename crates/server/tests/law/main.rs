//! Authority only ever shrinks (SECURITY-BAR K05, K25-b): sequences of everything that can happen to tokens and people, in
//! an authority with a gate behind it, no HTTP between. After every step the gate says of every token, action and service
//! what a naive model says. A run is made of numbered sequences: `KEYGATE_SEQUENCE=n` plays one of them and tells it.

mod book;
mod house;
mod naive;
mod race;
mod steps;

use std::collections::BTreeMap;

use house::House;
use naive::Flaw;
use steps::Sequence;

const SEQUENCES: u64 = 10_000;

/// How often each kind of step was done, and refused.
type Tally = BTreeMap<(&'static str, bool), u64>;

/// Plays sequences one after the other in one house.
fn play(numbers: impl Iterator<Item = u64>, flaw: Option<Flaw>) -> Result<Tally, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut tally = Tally::new();
    let mut house = runtime.block_on(House::new());
    for (nth, number) in numbers.enumerate() {
        if nth % 500 == 499 {
            // A house with much in it is slower, and the next starts empty.
            house = runtime.block_on(House::new());
        }
        let played = runtime.block_on(Sequence::new(&house, number, flaw).play(&mut tally));
        played.map_err(|why| format!("sequence {number}: {why}"))?;
    }
    Ok(tally)
}

#[test]
fn authority_never_grows() {
    if let Ok(number) = std::env::var("KEYGATE_SEQUENCE") {
        let number = number.parse().expect("a number");
        play(std::iter::once(number), None).expect("as the model says");
        return;
    }
    let halves = [0, 1].map(|half| std::thread::spawn(move || play((half..SEQUENCES).step_by(2), None)));
    let mut tally = Tally::new();
    for half in halves {
        for (step, count) in half.join().expect("no panic").unwrap_or_else(|why| panic!("{why}")) {
            *tally.entry(step).or_default() += count;
        }
    }
    // A step that is never done is no test of anything; nor is one that is never refused, where it can be.
    for step in steps::STEPS {
        let done = tally.get(&(step, true)).copied().unwrap_or_default();
        assert!(done > 300, "{step} was done {done} times: {tally:?}");
    }
    for step in ["create", "mint", "convert", "demote", "limit"] {
        let refused = tally.get(&(step, false)).copied().unwrap_or_default();
        assert!(refused > 50, "{step} was refused {refused} times: {tally:?}");
    }
}

/// The negative control: a model that is wrong about one thing is found out.
#[test]
fn a_wrong_model_is_caught() {
    for flaw in Flaw::ALL {
        let found = play(0..400, Some(flaw));
        assert!(found.is_err(), "a model with the flaw {flaw:?} went unnoticed in 400 sequences");
    }
}

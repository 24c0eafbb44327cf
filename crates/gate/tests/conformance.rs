//! Judges `conformance/` three ways: by the law alone, by a gate that was fed records, and by an oracle written from the
//! prose. All three must say what the file says; and whatever is made up at random, the three must agree.

#[path = "../../../conformance/cases.rs"]
mod cases;
#[path = "conformance/coverage.rs"]
mod coverage;
#[path = "../../../conformance/oracle.rs"]
mod oracle;
#[path = "conformance/random.rs"]
mod random;
#[path = "conformance/world.rs"]
mod world;

use std::sync::Arc;

use keygate_model::{Policy, policy::OWN_POLICY};

use crate::{
    cases::{Answer, Case, CaseFile, load_all},
    oracle::oracle,
    world::{Feed, World},
};

pub(crate) fn own_policy() -> Arc<Policy> {
    Arc::new(Policy::compile(OWN_POLICY).expect("the own policy compiles"))
}

#[test]
fn every_case_is_answered_as_written_three_times() {
    let policy = own_policy();
    let wrong: Vec<_> = load_all().iter().flat_map(|file| judge(file, &policy)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with the answers to one file.
fn judge(file: &CaseFile, policy: &Arc<Policy>) -> Vec<String> {
    let worlds = Feed::ALL.map(|feed| World::new(&file.facts, Arc::clone(policy), feed));
    let mut wrong = Vec::new();
    for case in &file.cases {
        let mut answers =
            vec![("the oracle".to_owned(), oracle(&file.facts, &case.caller, case.client, &case.what))];
        for world in &worlds {
            let (by_law, by_gate) = world.verdicts(&case.caller, case.client, &case.what);
            answers.push(("decide".to_owned(), world.answer(&case.what, by_law)));
            answers.push((format!("the gate ({:?})", world.feed), world.answer(&case.what, by_gate)));
            if by_law != by_gate {
                wrong.push(format!("{}: {}: decide {by_law:?}, gate {by_gate:?}", file.name, line(case)));
            }
            if world.has_noted() && case.answer != Answer::Allow {
                wrong.push(format!("{}: {}: a use was noted that was not allowed", file.name, line(case)));
            }
        }
        answers.retain(|(_, answer)| *answer != case.answer);
        wrong.extend(answers.iter().map(|(who, answer)| {
            format!("{}: {} must be {:?}; {who} says {answer:?}", file.name, line(case), case.answer)
        }));
    }
    wrong
}

fn line(case: &Case) -> String {
    format!("{:?} {:?} {:?}", case.caller, case.client, case.what)
}

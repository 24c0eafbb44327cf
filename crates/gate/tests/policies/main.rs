//! Policies of protected APIs, judged twice: by a gate that was fed records, and naively, from the files themselves. Among
//! them wrong ones, two at once, and ones that were taken back; and while they are swapped.

mod naive;
mod swap;
mod world;

use keygate_gate::Gate;
use keygate_model::{Policy, Verdict, policy::OWN_POLICY};
use std::sync::{Arc, LazyLock};

use naive::Said;
use world::{Draw, World};

static OWN: LazyLock<Arc<Policy>> =
    LazyLock::new(|| Arc::new(Policy::compile(OWN_POLICY).expect("the own policy compiles")));

const WORLDS: u64 = 40;
const CHANGES: usize = 3;
const ASKS: usize = 150;

#[test]
fn a_gate_decides_what_the_files_say() {
    let mut said = [0_u32; 3];
    for seed in 0..WORLDS {
        let mut draw = Draw::new(seed);
        let mut world = World::new(&mut draw);
        let gate = Gate::new(Arc::clone(&OWN), 0);
        gate.apply(world.people());
        gate.open();
        for _ in 0..CHANGES {
            gate.apply(world.change(&mut draw));
            // One that has just begun knows the same.
            let fresh = Gate::new(Arc::clone(&OWN), 0);
            fresh.apply(world.policies());
            fresh.apply(world.people());
            fresh.open();
            let files = naive::in_force(&world);
            for _ in 0..ASKS {
                let ask = world.ask(&mut draw);
                let by_file = naive::judge(&world, &files, &ask);
                for gate in [&gate, &fresh] {
                    let by_gate = match ask.put(gate) {
                        Verdict::Allow(_) => Said::Yes,
                        Verdict::Deny(_) => Said::No,
                        Verdict::CannotTell(_) => Said::CannotTell,
                    };
                    assert_eq!(by_gate, by_file, "seed {seed}: {ask:?}\n{:#?}\n{world:#?}", ask.put(gate));
                }
                said[by_file as usize] += 1;
            }
        }
    }
    assert!(said.iter().all(|times| *times > 500), "yes, no, cannot tell: {said:?}");
}

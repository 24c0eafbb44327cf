//! Many nodes: how soon a revoke is felt at gates that follow, what a receipt waits for, what gates and their feed cost.

use std::path::Path;

use crate::{report::Row, start::eprintln};

mod ask;
mod crowd;
mod house;
mod mass;
mod postgres;
mod revoke;
mod snapshot;

/// The groups, and what measures them.
const GROUPS: [(&str, Measure); 6] = [
    ("revoke", revoke::measure),
    ("enforced", revoke::enforced),
    ("snapshot", snapshot::measure),
    ("postgres", postgres::measure),
    ("mass", mass::measure),
    ("gates200", crowd::measure),
];

type Measure = fn(&Path) -> anyhow::Result<Vec<Row>>;

/// Measures the groups that are wanted.
///
/// # Errors
/// Whatever goes wrong.
pub fn measure(folder: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, measure) in GROUPS {
        if wanted("many") || wanted(name) {
            eprintln(&format!("many nodes: {name} …"));
            rows.extend(measure(folder)?);
        }
    }
    Ok(rows)
}

//! Compiling policies: what a change costs before every gate decides by it, also of policies that mean harm.

use keygate_model::{
    Policy,
    policy::{ApiSource, OWN_POLICY},
};

use crate::{
    decide, fixture,
    report::{Bar, Row},
};

/// Compilations, of which the median counts.
const TIMES: usize = 9;

/// The largest policy file, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;

/// Measures an ordinary large policy, and odd ones as large as may be: those have no bar, and it is only whoever runs the
/// gate that applies policies; but one must not hold up the feed for long.
///
/// # Errors
/// If the own policy does not compile, or the ordinary one.
pub fn measure() -> anyhow::Result<Vec<Row>> {
    let own = Policy::compile(OWN_POLICY)?;
    own.with(&[ApiSource { text: Some(&decide::api(10_000)), retired: &[] }])?;
    let ordinary = ("10,000 routes", decide::api(10_000));
    let odd = [
        ("4 MiB of routes that may be each other", alike(40_000)),
        ("4 MiB of scopes", scopes()),
        (
            "4 MiB of one long path",
            format!("{}[routes]\n\"GET {}\" = {{ action = \"a\" }}\n", HEAD, "/a".repeat(2_000_000)),
        ),
        ("4 MiB of brackets", format!("name = {}", "[".repeat(LARGEST - 16))),
        ("4 MiB of prefixes", prefixes(60_000)),
    ];
    let mut rows = vec![row(&own, ordinary.0, &ordinary.1, Bar::Most(1.0))];
    rows.extend(odd.map(|(what, text)| row(&own, what, &text, Bar::None)));
    Ok(rows)
}

fn row(own: &Policy, what: &str, text: &str, bar: Bar) -> Row {
    let mut ms = Vec::new();
    let mut refused = None;
    for _ in 0..TIMES {
        let start = fixture::now();
        refused = own.with(&[ApiSource { text: Some(text), retired: &[] }]).err();
        ms.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let ms = fixture::median(ms);
    let why = refused.map_or_else(|| "compiles".to_owned(), |why| why.to_string().chars().take(60).collect());
    Row {
        what: format!("compile a policy: {what}"),
        ours: format!("{ms:.0} ms"),
        yardstick: "200 ms".to_owned(),
        ratio: ms / 200.0,
        bar,
        note: why.replace('\n', " "),
    }
}

const HEAD: &str =
    "name = \"bench\"\nhosts = [\"api.bench\"]\ncustomers = \"all\"\n[actions]\na = {}\nb = {}\n";

/// Half with a parameter first, half with a word first: each may be each.
fn alike(routes: usize) -> String {
    let line = |number: usize| {
        let (path, action) = if number.is_multiple_of(2) { ("{p}/w", "a") } else { ("w", "b") };
        format!("\"GET /{path}{number}/x\" = {{ action = \"{action}\" }}\n")
    };
    format!("{HEAD}[routes]\n{}", (0..routes).map(line).collect::<String>())
}

fn prefixes(routes: usize) -> String {
    let line = |number: usize| format!("\"GET /{number}-{{p}}/X\" = {{ action = \"a\" }}\n");
    format!("{HEAD}[routes]\n{}", (0..routes).map(line).collect::<String>())
}

fn scopes() -> String {
    let line = |number: usize| format!("s{number} = [\"*\", \"a\", \"b\", \"@read\", \"a\"]\n");
    format!("{HEAD}[scopes]\n{}", (0..110_000).map(line).collect::<String>())
}

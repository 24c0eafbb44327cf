//! Who may do what: every route of the router, asked by everybody there can be, held against `access/matrix.txt`. The
//! file is made from the answers (`KEYGATE_REWRITE=1`) and read by people: a diff of it is a diff of what is allowed.

use std::collections::{BTreeMap, BTreeSet};

use keygate_server::router::table;

use crate::house::{Ask, House, Mould, Reply};

mod rows;
mod world;

use rows::{Body, Row, rows};
use world::World;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/access/matrix.txt");

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let routes: BTreeSet<_> = table().into_iter().map(|(on, _)| on).collect();
    let asked: BTreeSet<_> = rows().iter().map(|row| row.on).collect();
    assert_eq!(asked, routes, "left: the rows of the matrix; right: the router's table");
}

#[tokio::test]
async fn the_matrix_is_as_written() {
    let world = World::new().await;
    let mut drawn = world.legend();
    for row in rows() {
        drawn.push_str(&drawn_row(&world, &row).await);
    }
    if std::env::var_os("KEYGATE_REWRITE").is_some() {
        std::fs::write(GOLDEN, &drawn).expect("written");
    }
    let golden = std::fs::read_to_string(GOLDEN).expect("a golden file");
    let differs = golden.lines().zip(drawn.lines()).find(|(golden, drawn)| golden != drawn);
    assert!(
        golden == drawn,
        "{differs:?} differ; KEYGATE_REWRITE=1 draws the matrix anew, then read its diff"
    );
}

/// A row: the route, and under it each answer with those who get it.
async fn drawn_row(world: &World, row: &Row) -> String {
    let mut answers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut house = Standing { mould: &world.mould, house: None };
    for caller in &world.callers {
        let here = house.get().await;
        let names = world.names(caller);
        let ask = here.anon().ask(row.method(), &row.path(&names));
        let ask = match &caller.secret {
            Some(secret) => ask.header("Fastly-Key", secret),
            None => ask,
        };
        let reply = with_body(ask, row, &names).send().await;
        assert!(reply.status < 500, "{} by {}: {reply:?}", row.on, caller.name);
        if row.method() != "GET" && ![401, 403, 404].contains(&reply.status) {
            house.house = None;
        }
        answers.entry(answer(&reply)).or_default().push(caller.name);
    }
    let about = if row.about.is_empty() { String::new() } else { format!(" ({})", row.about) };
    let lines =
        answers.into_iter().map(|(answer, callers)| format!("    {answer:<28} {}\n", callers.join(", ")));
    format!("\n{}{about}\n{}", row.on, lines.collect::<String>())
}

fn with_body(ask: Ask, row: &Row, names: &crate::estate::Names) -> Ask {
    let filled = |text: &str| crate::estate::filled(text, names);
    match row.body {
        Body::None => ask,
        Body::Form(text) => ask.body("application/x-www-form-urlencoded", &filled(text)),
        Body::Api(text) => ask.body("application/vnd.api+json", &filled(text)),
    }
}

/// How a body of this route is marked, and a body that it takes: for those who ask with other ids.
pub(crate) fn base_of(on: &str) -> (&'static str, &'static str) {
    let row = rows().into_iter().find(|row| row.on == on).expect("a row in the matrix");
    match row.body {
        Body::None => ("", ""),
        Body::Form(body) => ("application/x-www-form-urlencoded", body),
        Body::Api(body) => ("application/vnd.api+json", body),
    }
}

/// The status, and the word for why.
fn answer(reply: &Reply) -> String {
    let body: serde_json::Value = serde_json::from_str(&reply.body).unwrap_or_default();
    body["code"].as_str().map_or_else(|| reply.status.to_string(), |code| format!("{} {code}", reply.status))
}

/// A house as it was at the beginning: used again as long as nothing in it changed.
struct Standing<'m> {
    mould: &'m Mould,
    house: Option<House>,
}

impl Standing<'_> {
    async fn get(&mut self) -> &House {
        if self.house.is_none() {
            self.house = Some(self.mould.cast().await);
        }
        self.house.as_ref().expect("just cast")
    }
}

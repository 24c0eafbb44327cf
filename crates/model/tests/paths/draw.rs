//! Policies and paths by chance, the same in every run. Few words, so that routes come close to each other.

use crate::naive::{Naive, Template};

/// Numbers that look random (splitmix64).
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }
}

const WORDS: [&str; 12] =
    ["a", "A", "b", "ab", "aB", "admin", "Admin", "@", "%40", "%C3%89", "%C3%A9", "x.y"];
const PARAMETERS: [&str; 10] = ["{p}", "{p}", "{p}", "{p}", "a{p}", "A{p}", "{p}.y", "{p}b", "{p}@", "x{p}y"];

/// What stands where a parameter does, or anywhere.
const VALUES: [&str; 40] = [
    "1",
    "a",
    "A",
    "b",
    "B",
    "ab",
    "AB",
    "Ab",
    "admin",
    "ADMIN",
    "%61dmin",
    "%41",
    "@",
    "%40",
    "x.y",
    "X.Y",
    "1.y",
    "1.Y",
    "a%40",
    "%20",
    "a%20B",
    "%C3%89",
    "%c3%a9",
    "%E2%84%AA",
    ".",
    "..",
    "%2e",
    ".%2E",
    "..;x",
    "a;x",
    "a%3Bx",
    "a%2fb",
    "a%2Fadmin",
    "a%5cb",
    "a\\b",
    "%2541",
    "%252e%252e",
    "..%2f",
    "%00",
    "",
];

pub(crate) fn template(draw: &mut Draw) -> Template {
    let mut text = String::new();
    for _ in 0..draw.below(4) + 1 {
        text.push('/');
        text.push_str(if draw.one_in(3) { draw.pick(&PARAMETERS) } else { draw.pick(&WORDS) });
    }
    // Names of parameters differ within a path.
    for (nth, name) in ["p1", "p2", "p3", "p4"].into_iter().enumerate() {
        if let Some(at) = text.find("p}") {
            let name = if nth == 0 && draw.one_in(4) { "s" } else { name };
            text.replace_range(at..=at, name);
        }
    }
    if draw.one_in(6) {
        text.push_str("/{*rest}");
    }
    let allow = ["%2f", ";", "%25"].into_iter().filter(|_| draw.one_in(8)).collect();
    Template { text, action: draw.pick(&["x", "y"]).to_owned(), allow }
}

/// A path near one of the routes.
pub(crate) fn path(draw: &mut Draw, naive: &Naive) -> String {
    let near = &naive.routes[draw.below(naive.routes.len() as u64) as usize].text;
    let mut path = String::new();
    for part in near.split('/').skip(1) {
        path.push_str(if draw.one_in(40) { "//" } else { "/" });
        let part = match part.split_once('{') {
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                let tail = if rest.starts_with('*') && draw.one_in(2) { "/a" } else { "" };
                format!("{before}{}{after}{tail}", draw.pick(&VALUES))
            }
            None if draw.one_in(10) => draw.pick(&VALUES).to_owned(),
            None => part.to_owned(),
        };
        match draw.below(8) {
            0 => path.push_str(&part.to_uppercase()),
            1 => path.push_str(&part.to_lowercase()),
            2 => part.chars().for_each(|letter| match draw.below(4) {
                0 => path.push(letter.to_ascii_uppercase()),
                1 if letter.is_ascii() && letter != '%' => path.push_str(&format!("%{:02X}", letter as u32)),
                _ => path.push(letter),
            }),
            _ => path.push_str(&part),
        }
    }
    match draw.below(60) {
        0 => path.push('/'),
        1 => path.push_str("/.."),
        2 => path.push_str(";a"),
        3 => path.insert_str(0, "/a/.."),
        _ => {}
    }
    path
}

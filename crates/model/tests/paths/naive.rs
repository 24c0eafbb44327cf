//! Routes, read naively: every template is laid beside the path, and the most particular one wins.

use std::fmt::Write as _;

#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) routes: Vec<Template>,
}

#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) text: String,
    pub(crate) action: String,
    pub(crate) allow: Vec<&'static str>,
}

/// How particular a part of a template is: a word most, then a parameter by how much stands about it, then the rest.
type Rank = Vec<usize>;
const WORD: usize = usize::MAX;

impl Naive {
    pub(crate) fn toml(&self) -> String {
        let mut text =
            "name = \"api\"\nhosts = [\"api.test\"]\ncustomers = \"all\"\n[actions]\nx = {}\ny = {}\n"
                .to_owned();
        text.push_str("[scopes]\nall = [\"*\"]\n[routes]\n");
        for route in &self.routes {
            let service = if route.text.contains("{s}") { ", service = \"s\"" } else { "" };
            let (on, action, allow) = (&route.text, &route.action, &route.allow);
            writeln!(text, "\"GET {on}\" = {{ action = \"{action}\", allow = {allow:?}{service} }}")
                .expect("text");
        }
        text
    }

    /// The routes that a server may take this path for that reads its routes so: several if it cannot tell them apart.
    pub(crate) fn best(&self, path: &str, read: impl Fn(&str) -> String) -> Vec<&Template> {
        let ranked = self.routes.iter().map(|route| (rank(&route.text, path, &read), route));
        let ranked: Vec<(Rank, &Template)> =
            ranked.filter_map(|(rank, route)| Some((rank?, route))).collect();
        let best = ranked.iter().map(|(rank, _)| rank).max();
        ranked.iter().filter(|(rank, _)| Some(rank) == best).map(|(_, route)| *route).collect()
    }
}

impl Template {
    /// What stands in a path of this route where the service does.
    pub(crate) fn service<'p>(&self, path: &'p str) -> Option<&'p str> {
        let at = self.text.split('/').position(|part| part.contains("{s}"))?;
        let part = self.text.split('/').nth(at)?;
        let (before, after) = part.split_once("{s}")?;
        let value = path.split('/').nth(at)?;
        value.get(before.len()..value.len().checked_sub(after.len())?)
    }
}

fn rank(template: &str, path: &str, read: &impl Fn(&str) -> String) -> Option<Rank> {
    let (mut parts, mut rank) = (path.split('/').skip(1), Vec::new());
    for wanted in template.split('/').skip(1) {
        let part = parts.next()?;
        let Some((before, rest)) = wanted.split_once('{') else {
            if read_part(wanted, read) != part {
                return None;
            }
            rank.push(WORD);
            continue;
        };
        if rest.starts_with('*') {
            rank.push(0);
            // Nothing is no rest.
            return (!part.is_empty() || parts.next().is_some()).then_some(rank);
        }
        let (_, after) = rest.split_once('}')?;
        let (before, after) = (read_part(before, read), read_part(after, read));
        let fits =
            part.len() > before.len() + after.len() && part.starts_with(&before) && part.ends_with(&after);
        if !fits {
            return None;
        }
        rank.push(before.len() + after.len() + 1);
    }
    parts.next().is_none().then_some(rank)
}

/// Readers take whole paths.
fn read_part(part: &str, read: &impl Fn(&str) -> String) -> String {
    if part.is_empty() { String::new() } else { read(&format!("/{part}")).split_off(1) }
}

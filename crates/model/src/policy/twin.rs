//! Routes that a server with laxer reading takes for each other: one that does not tell `/Admin` from `/admin`, as many do,
//! or that reads `%40` before it looks for a route. The gate matches paths as they stand; where a laxer reading would
//! lead to another action, the path is ambiguous (SECURITY-BAR T-21, K03).

use std::{
    cell::Cell,
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use crate::ask::Method;

/// The routes by their segments, in two readings.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// As they stand. The router has them too, and does not find all of what it could where words, parts of words and
    /// parameters meet: it says no then, where another server may say yes.
    written: [Node; Method::COUNT],
    /// Escapes read, letters small. Several routes may be one in it.
    lax: [Node; Method::COUNT],
}

#[derive(Debug, Default)]
struct Node {
    words: HashMap<String, Node>,
    parameters: BTreeMap<Around, Node>,
    /// Routes that end here.
    routes: Vec<usize>,
    /// Routes that take the rest.
    rests: Vec<usize>,
}

/// What stands before and after the parameter of a segment; the longest comes first.
type Around = (Reverse<usize>, String, String);

/// How many nodes are looked at to find out whether a route has a twin. What is not known then is looked up when it is
/// asked for.
const LOOKS_MAX: u32 = 64;

impl Twins {
    pub(super) fn add(&mut self, method: Method, template: &str, route: usize) {
        self.written[method.index()].add(template, route, str::to_owned);
        self.lax[method.index()].add(template, route, lax);
    }

    /// Whether a server that reads the escapes of this path, or makes it small, or both, takes it for a route for which
    /// `is_other` holds, whichever way it reads its routes.
    pub(super) fn lead_to(&self, method: Method, path: &str, is_other: impl Fn(usize) -> bool) -> bool {
        if !path.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'%') {
            return false;
        }
        let (small, read) = (path.to_lowercase(), read(path));
        let both = read.to_lowercase();
        let leads = |nodes: &[Node], path: &str| {
            let segments: Vec<_> = path.split('/').skip(1).collect();
            let found = nodes[method.index()].find(&segments);
            found.is_some_and(|routes| routes.iter().any(|route| is_other(*route)))
        };
        [&small, &read, &both].into_iter().any(|path| leads(&self.written, path))
            || [&small, &both].into_iter().any(|path| leads(&self.lax, path))
    }

    /// Whether a path of the route with this template could be one of a route for which `is_other` holds.
    pub(super) fn any_of(&self, method: Method, template: &str, is_other: impl Fn(usize) -> bool) -> bool {
        let segments: Vec<_> = template.split('/').skip(1).collect();
        self.lax[method.index()].meets(&segments, &is_other, &Cell::new(LOOKS_MAX))
    }
}

impl Node {
    fn add(&mut self, template: &str, route: usize, read: impl Fn(&str) -> String) {
        let mut node = self;
        for segment in template.split('/').skip(1) {
            if segment.starts_with("{*") {
                node.rests.push(route);
                return;
            }
            node = match parameter(segment) {
                None => node.words.entry(read(segment)).or_default(),
                Some((before, after)) => {
                    let (before, after) = (read(before), read(after));
                    node.parameters.entry((Reverse(before.len() + after.len()), before, after)).or_default()
                }
            };
        }
        node.routes.push(route);
    }

    /// The best routes for these segments: words before parameters before rests, as the router has it.
    fn find(&self, segments: &[&str]) -> Option<&[usize]> {
        let some = |routes: &'_ Vec<usize>| !routes.is_empty();
        let Some((first, rest)) = segments.split_first() else {
            return Some(&self.routes).filter(|routes| some(routes)).map(Vec::as_slice);
        };
        let worded = self.words.get(*first).and_then(|node| node.find(rest));
        worded
            .or_else(|| {
                let fits = |before: &str, after: &str| {
                    first.len() > before.len() + after.len()
                        && first.starts_with(before)
                        && first.ends_with(after)
                };
                let mut fitting =
                    self.parameters.iter().filter(|((_, before, after), _)| fits(before, after));
                fitting.find_map(|(_, node)| node.find(rest))
            })
            .or_else(|| Some(&self.rests).filter(|routes| some(routes)).map(Vec::as_slice))
    }

    /// Whether a path that has these template segments may end at a route for which `is_other` holds, as far as `left`
    /// looks tell; or else that it may.
    fn meets(&self, segments: &[&str], is_other: &impl Fn(usize) -> bool, left: &Cell<u32>) -> bool {
        let Some(fewer) = left.get().checked_sub(1) else { return true };
        left.set(fewer);
        if self.rests.iter().any(|route| is_other(*route)) {
            return true;
        }
        let Some((first, rest)) = segments.split_first() else {
            return self.routes.iter().any(|route| is_other(*route));
        };
        if first.starts_with("{*") {
            return self.holds(is_other, left);
        }
        let by_parameter = self.parameters.values().any(|node| node.meets(rest, is_other, left));
        by_parameter
            || match parameter(first) {
                None => self.words.get(&lax(first)).is_some_and(|node| node.meets(rest, is_other, left)),
                Some(_) => self.words.values().any(|node| node.meets(rest, is_other, left)),
            }
    }

    fn holds(&self, is_other: &impl Fn(usize) -> bool, left: &Cell<u32>) -> bool {
        let Some(fewer) = left.get().checked_sub(1) else { return true };
        left.set(fewer);
        self.routes.iter().chain(&self.rests).any(|route| is_other(*route))
            || self.words.values().any(|node| node.holds(is_other, left))
            || self.parameters.values().any(|node| node.holds(is_other, left))
    }
}

/// What stands before and after the parameter of a segment. None for a word.
fn parameter(segment: &str) -> Option<(&str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    Some((before, after))
}

/// Text in its laxest reading.
fn lax(text: &str) -> String {
    read(text).to_lowercase()
}

/// A path with its escapes read, but for those of slashes: where they may stand at all, they are letters.
fn read(path: &str) -> String {
    let (mut read, mut rest) = (Vec::with_capacity(path.len()), path.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        let escaped = escaped.filter(|byte| *byte != b'/');
        read.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&read).into_owned()
}

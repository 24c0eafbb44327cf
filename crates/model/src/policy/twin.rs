//! Routes that a server with laxer reading takes for each other: one that does not tell `/Admin` from `/admin`, as many do,
//! or that reads `%40` before it looks for a route. The gate matches paths as they stand; where a laxer reading would
//! lead to another action, the path is ambiguous (SECURITY-BAR T-21, K03).

use std::{borrow::Cow, collections::HashMap};

use crate::ask::Method;

/// The routes by their segments in the laxest reading: escapes read, letters small.
#[derive(Debug, Default)]
pub(super) struct Twins([Node; Method::COUNT]);

#[derive(Debug, Default)]
struct Node {
    words: HashMap<String, Node>,
    /// What a parameter stands for: by what stands before and after it in its segment, the longest first.
    parameters: Vec<(String, String, Node)>,
    /// Routes that end here.
    routes: Vec<usize>,
    /// Routes that take the rest.
    rests: Vec<usize>,
}

impl Twins {
    pub(super) fn add(&mut self, method: Method, template: &str, route: usize) {
        let mut node = &mut self.0[method.index()];
        for segment in template.split('/').skip(1) {
            if segment.starts_with("{*") {
                node.rests.push(route);
                return;
            }
            node = match parameter(segment) {
                None => node.words.entry(lax(segment).into_owned()).or_default(),
                Some((before, after)) => node.parameter(&lax(before), &lax(after)),
            };
        }
        node.routes.push(route);
    }

    /// The route that the laxest reading of a path leads to. None if that is the plain reading, or there is none.
    pub(super) fn of(&self, method: Method, path: &str) -> Option<usize> {
        let needs_reading = |byte: u8| byte.is_ascii_uppercase() || byte == b'%';
        if !path.bytes().any(needs_reading) {
            return None;
        }
        let segments: Vec<_> = path.split('/').skip(1).map(lax).collect();
        self.0[method.index()].find(&segments)
    }

    /// Whether a path of the route with this template could be one of a route for which `is_other` holds.
    pub(super) fn any_of(&self, method: Method, template: &str, is_other: impl Fn(usize) -> bool) -> bool {
        let segments: Vec<_> = template.split('/').skip(1).collect();
        self.0[method.index()].meets(&segments, &is_other)
    }
}

impl Node {
    fn parameter(&mut self, before: &str, after: &str) -> &mut Self {
        let place = match self.parameters.iter().position(|(b, a, _)| b == before && a == after) {
            Some(place) => place,
            None => {
                let length = before.len() + after.len();
                let place = self.parameters.partition_point(|(b, a, _)| b.len() + a.len() >= length);
                self.parameters.insert(place, (before.to_owned(), after.to_owned(), Self::default()));
                place
            }
        };
        &mut self.parameters[place].2
    }

    /// The best route for these segments: words before parameters before rests, as the router has it.
    fn find(&self, segments: &[Cow<'_, str>]) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else { return self.routes.first().copied() };
        let worded = self.words.get(&**first).and_then(|node| node.find(rest));
        worded
            .or_else(|| {
                let fits = |before: &str, after: &str| {
                    first.len() > before.len() + after.len()
                        && first.starts_with(before)
                        && first.ends_with(after)
                };
                let mut fitting = self.parameters.iter().filter(|(before, after, _)| fits(before, after));
                fitting.find_map(|(_, _, node)| node.find(rest))
            })
            .or_else(|| self.rests.first().copied())
    }

    /// Whether a path that has these template segments may end at a route for which `is_other` holds.
    fn meets(&self, segments: &[&str], is_other: &impl Fn(usize) -> bool) -> bool {
        if self.rests.iter().any(|route| is_other(*route)) {
            return true;
        }
        let Some((first, rest)) = segments.split_first() else {
            return self.routes.iter().any(|route| is_other(*route));
        };
        if first.starts_with("{*") {
            return self.holds(is_other);
        }
        let by_parameter = self.parameters.iter().any(|(_, _, node)| node.meets(rest, is_other));
        by_parameter
            || match parameter(first) {
                None => self.words.get(&*lax(first)).is_some_and(|node| node.meets(rest, is_other)),
                Some(_) => self.words.values().any(|node| node.meets(rest, is_other)),
            }
    }

    fn holds(&self, is_other: &impl Fn(usize) -> bool) -> bool {
        self.routes.iter().chain(&self.rests).any(|route| is_other(*route))
            || self.words.values().any(|node| node.holds(is_other))
            || self.parameters.iter().any(|(_, _, node)| node.holds(is_other))
    }
}

/// What stands before and after the parameter of a segment. None for a word.
fn parameter(segment: &str) -> Option<(&str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    Some((before, after))
}

/// A segment in its laxest reading.
fn lax(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') && !segment.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(segment);
    }
    let (mut read, mut rest) = (Vec::with_capacity(segment.len()), segment.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let escaped = match (byte, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        read.push(escaped.unwrap_or(*byte).to_ascii_lowercase());
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&read).into_owned())
}

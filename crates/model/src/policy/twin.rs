//! Routes that a server with laxer reading takes for each other: one that does not tell `/Admin` from `/admin`, as many do,
//! or that reads `%40` before it looks for a route. The gate matches paths as they stand; where a laxer reading would
//! lead to another action, the path is ambiguous (SECURITY-BAR T-21, K03).

use std::{borrow::Cow, cell::Cell};

use super::tree::{Node, parameter};
use crate::ask::Method;

/// The routes in their laxest reading: escapes read, letters small. Several routes may be one in it.
#[derive(Debug, Default)]
pub(super) struct Twins {
    /// None: each is what it is as it stands.
    lax: Option<Box<[Node; Method::COUNT]>>,
}

/// How many nodes are looked at to find out whether a route has a twin. What is not known then is looked up when it is
/// asked for.
const LOOKS_MAX: u32 = 64;

impl Twins {
    /// Reads all of them once more, if a laxer reading makes anything else of them. False: one of them has a parameter
    /// where there are too many already.
    pub(super) fn read<'t>(&mut self, templates: impl Iterator<Item = (Method, &'t str)> + Clone) -> bool {
        let is_strict = |segment: &str| match parameter(segment) {
            None => is_strict(segment),
            Some((before, after)) => is_strict(before) || is_strict(after),
        };
        if !templates.clone().any(|(_, template)| template.split('/').any(is_strict)) {
            return true;
        }
        let nodes = self.lax.get_or_insert_default();
        let mut numbered = templates.enumerate();
        numbered.all(|(route, (method, template))| nodes[method.index()].add(template, route, lax))
    }

    /// Whether a server that reads the escapes of this path, or makes it small, or both, takes it for a route for which
    /// `is_other` holds, whichever way it reads its routes; `written` are the routes as they stand.
    pub(super) fn lead_to(
        &self,
        written: &Node,
        method: Method,
        path: &str,
        is_other: impl Fn(usize) -> bool,
    ) -> bool {
        if !is_strict(path) {
            return false;
        }
        let (small, read) = (path.to_lowercase(), read(path));
        let both = read.to_lowercase();
        let leads = |node: &Node, path: &str| {
            node.find(path).is_some_and(|routes| routes.iter().any(|route| is_other(*route)))
        };
        let lax = self.lax_or(written, method);
        [&small, &read, &both].into_iter().any(|path| leads(written, path))
            || [&small, &both].into_iter().any(|path| leads(lax, path))
    }

    /// Whether a path of the route with this template could be one of a route for which `is_other` holds.
    pub(super) fn any_of(
        &self,
        written: &Node,
        method: Method,
        template: &str,
        is_other: impl Fn(usize) -> bool,
    ) -> bool {
        let segments: Vec<_> = template.split('/').skip(1).collect();
        self.lax_or(written, method).meets(&segments, &is_other, lax, &Cell::new(LOOKS_MAX))
    }

    fn lax_or<'n>(&'n self, written: &'n Node, method: Method) -> &'n Node {
        self.lax.as_ref().map_or(written, |lax| &lax[method.index()])
    }
}

/// Whether a laxer reading may make something else of it.
fn is_strict(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase() || byte == b'%' || !byte.is_ascii())
}

/// Text in its laxest reading.
fn lax(text: &str) -> Cow<'_, str> {
    if is_strict(text) { read(text).to_lowercase().into() } else { text.into() }
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

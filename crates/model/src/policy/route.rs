//! Routes: which request is which action.

use super::{
    file::{Leniency, RouteLine},
    tree::{Node, as_written, parameter},
    twin::Twins,
};
use crate::{
    action::Action,
    ask::{Method, Path, Reading},
    freshness::Freshness,
};

/// The routes of one API.
#[derive(Debug, Default)]
pub struct Routes {
    list: Vec<Route>,
    by_method: [Node; Method::COUNT],
    twins: Twins,
    /// Whether whoever serves a `{*rest}` takes it as it stands: Keygate's own handlers do, and of others nobody knows.
    rest_is_open: bool,
}

/// Which routes can stand side by side: a router says so, which is needed only while they are added.
#[derive(Default)]
pub(super) struct Fitting([matchit::Router<()>; Method::COUNT]);

/// One route of a policy.
#[derive(Debug)]
pub struct Route {
    /// As the policy writes it: `GET /tokens/{token}`.
    pub on: String,
    /// What it takes to pass.
    pub access: Access,
    /// Where the service's id stands, if the path has it.
    service: Option<Place>,
    /// Where its paths may be read in two ways, because the API is known to read them in one.
    lenient: Reading,
    /// How current a gate must be.
    freshness: Freshness,
    /// Another route is all that sets a parameter of this one apart from a word, so that a server with laxer reading may
    /// take a request for that.
    has_twin: bool,
}

/// Which part of a path something is, and what stands around it there.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: usize,
    before: usize,
    after: usize,
    /// It is all the rest too.
    is_rest: bool,
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing. For health and metadata only.
    Public,
    /// A credential that may do this.
    Action(Action),
    /// The same if there is a credential; without one the handler asks for a password itself.
    ActionIfAny(Action),
    /// More than anybody has: the route is known, and nobody has said yet what it is.
    Unclassified,
}

/// A route that an ask has matched.
#[derive(Debug)]
pub struct Matched<'a> {
    /// Which.
    pub route: &'a Route,
    /// What it asks for.
    pub access: Access,
    /// What stands in the place of the service's id, if the route has one.
    pub service: Option<&'a str>,
}

/// Why no route matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// The path can be read in two ways.
    Ambiguous,
    /// The policy names no such route.
    NoRoute,
}

/// The most parts of a path.
const SEGMENTS_MAX: usize = 64;

/// What the router can name.
const PARAMETERS_MAX: usize = 25;

impl Routes {
    /// None yet, of Keygate's own API.
    pub(super) fn own() -> Self {
        Self { rest_is_open: true, ..Self::default() }
    }

    /// Finds what a request is.
    ///
    /// # Errors
    /// [`Unmatched`]: no route, and no route is no permission.
    pub fn find<'a>(&'a self, method: Method, path: &Path<'a>) -> Result<Matched<'a>, Unmatched> {
        let reading = path.reading();
        if reading == Reading::AMBIGUOUS {
            return Err(Unmatched::Ambiguous);
        }
        let Some([place, ..]) = self.by_method[method.index()].find(path.as_str()) else {
            return Err(if reading == Reading::PLAIN { Unmatched::NoRoute } else { Unmatched::Ambiguous });
        };
        let route = &self.list[*place];
        let taken = route.lenient.covers(reading) || self.rest_is_open && leaves_rest_open(&route.on, path);
        if !taken || route.has_twin && self.is_taken_for_another(method, path, *place) {
            return Err(Unmatched::Ambiguous);
        }
        let service = route.service.and_then(|service| service.within(path.as_str()));
        Ok(Matched { route, access: route.access, service })
    }

    /// All of them, as they stand in the policy.
    #[must_use]
    pub fn all(&self) -> &[Route] {
        &self.list
    }

    /// Whether a server that does not tell `A` from `a`, or reads escapes first, would take the request for one that asks
    /// for something else.
    fn is_taken_for_another(&self, method: Method, path: &Path<'_>, place: usize) -> bool {
        let asks = self.list[place].asks();
        let is_other = |other: usize| self.list[other].asks() != asks;
        self.twins.lead_to(&self.by_method[method.index()], method, path.as_str(), is_other)
    }

    /// Adds a route.
    pub(super) fn add(
        &mut self,
        fitting: &mut Fitting,
        on: &str,
        line: &RouteLine,
        whole: Freshness,
        action: impl Fn(&str) -> Option<Action>,
    ) -> Result<(), String> {
        let (method, path) = on.split_once(' ').ok_or("write it as `METHOD /path`")?;
        let method = Method::parse_in_policy(method)
            .ok_or("the method is none of GET, POST, PUT, PATCH, DELETE, OPTIONS")?;
        if path.matches('{').count() > PARAMETERS_MAX {
            return Err(format!("a path has {PARAMETERS_MAX} parameters at most"));
        }
        let access = access(line, action)?;
        if !path.starts_with('/') || path.split('/').count() > SEGMENTS_MAX {
            return Err(format!("its path begins with a slash and has {SEGMENTS_MAX} parts at most"));
        }
        let is_odd = |part: &str| {
            part.contains("{{") || part.contains("}}") || part.find("{*").is_some_and(|at| at > 0)
        };
        if path.split('/').any(is_odd) {
            return Err("a part of its path has a brace too much: write %7b for one, and {*rest} by itself"
                .to_owned());
        }
        let service = line.service.clone().unwrap_or_else(|| "service".to_owned());
        if line.service.is_some() && !path.contains(&format!("{{{service}}}")) {
            return Err(format!("its path has no parameter {{{service}}}"));
        }
        let lenient = line.allow.iter().map(|what| what.reading()).fold(Reading::PLAIN, Reading::and);
        let freshness = line.freshness().over(whole)?;
        let service = Place::of(path, &service);
        fitting.0[method.index()].insert(path, ()).map_err(|why| why.to_string())?;
        if !self.by_method[method.index()].add(path, self.list.len(), as_written) {
            return Err(TOO_MANY_PARAMETERS.to_owned());
        }
        self.list.push(Route { on: on.to_owned(), access, service, lenient, freshness, has_twin: false });
        Ok(())
    }

    /// Ends the adding: says which routes another could be taken for.
    pub(super) fn close(&mut self) -> Result<(), String> {
        if !self.twins.read(self.list.iter().filter_map(Route::parsed)) {
            return Err(TOO_MANY_PARAMETERS.to_owned());
        }
        for place in 0..self.list.len() {
            let (parsed, asks) = (self.list[place].parsed(), self.list[place].asks());
            let Some((method, path)) = parsed else { continue };
            let is_other = |other: usize| self.list[other].asks() != asks;
            self.list[place].has_twin =
                self.twins.any_of(&self.by_method[method.index()], method, path, is_other);
        }
        Ok(())
    }
}

/// Why a route is refused beside too many like it.
const TOO_MANY_PARAMETERS: &str =
    "too many routes have a parameter in the same part of the path, with other words around it";

impl Route {
    /// Whether it names a service.
    #[must_use]
    pub fn names_service(&self) -> bool {
        self.service_at().is_some()
    }

    /// How current a gate must be to decide about it.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What it asks for, of which service, and how current.
    fn asks(&self) -> (Access, Option<usize>, Freshness) {
        (self.access, self.service_at(), self.freshness)
    }

    /// What it matches; it could be parsed when it was added.
    fn parsed(&self) -> Option<(Method, &str)> {
        let (method, path) = self.on.split_once(' ')?;
        Some((Method::parse(method)?, path))
    }

    /// Which part of the path is the service's id.
    fn service_at(&self) -> Option<usize> {
        self.service.filter(|place| !place.is_rest).map(|place| place.at)
    }
}

impl Place {
    /// Of the parameter of this name.
    fn of(template: &str, name: &str) -> Option<Self> {
        let place = |(at, part): (usize, &str)| {
            let (before, after) = parameter(part)?;
            let named = &part[before.len() + 1..part.len() - after.len() - 1];
            let is_rest = named.strip_prefix('*') == Some(name);
            let found = Self { at, before: before.len(), after: after.len(), is_rest };
            (named == name || is_rest).then_some(found)
        };
        template.split('/').enumerate().find_map(place)
    }

    /// What stands there in a path.
    fn within(self, path: &str) -> Option<&str> {
        let mut slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let start = slashes.nth(self.at.checked_sub(1)?)? + 1;
        let end = if self.is_rest { None } else { slashes.next() };
        path.get(start + self.before..end.unwrap_or(path.len()).checked_sub(self.after)?)
    }
}

fn access(line: &RouteLine, action: impl Fn(&str) -> Option<Action>) -> Result<Access, String> {
    match (&line.action, line.public, line.unclassified) {
        (None, true, false) if line.credential.is_none() => Ok(Access::Public),
        (None, false, true) if line.credential.is_none() => Ok(Access::Unclassified),
        (Some(name), false, false) => {
            let action =
                action(name).ok_or_else(|| format!("its action {name:?} stands not under [actions]"))?;
            Ok(if line.credential.is_some() { Access::ActionIfAny(action) } else { Access::Action(action) })
        }
        _ => Err("give it an action, or say public = true, or unclassified = true".to_owned()),
    }
}

/// Whether the part of `path` that the route names itself can be read in one way only, and the rest is a `{*rest}`.
fn leaves_rest_open(on: &str, path: &Path<'_>) -> bool {
    let template = on.split_once(' ').map_or(on, |(_, template)| template);
    let Some((fixed, _)) = template.split_once("{*") else { return false };
    !fixed.contains('{') && path.as_str().starts_with(fixed)
}

impl Leniency {
    fn reading(self) -> Reading {
        match self {
            Self::Slash => Reading::ESCAPED_SLASH,
            Self::Semicolon => Reading::SEMICOLON,
            Self::Percent => Reading::ESCAPED_PERCENT,
        }
    }
}

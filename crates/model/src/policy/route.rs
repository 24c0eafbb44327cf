//! Routes: which request is which action.

use super::{
    file::{Leniency, RouteLine},
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
    by_method: [matchit::Router<usize>; Method::COUNT],
    twins: Twins,
    /// Whether whoever serves a `{*rest}` takes it as it stands: Keygate's own handlers do, and of others nobody knows.
    rest_is_open: bool,
}

/// One route of a policy.
#[derive(Debug)]
pub struct Route {
    /// As the policy writes it: `GET /tokens/{token}`.
    pub on: String,
    /// What it takes to pass.
    pub access: Access,
    /// The parameter that is the service's id, and which part of the path it is, if the path has it.
    service: String,
    service_at: Option<usize>,
    /// Where its paths may be read in two ways, because the API is known to read them in one.
    lenient: Reading,
    /// How current a gate must be.
    freshness: Freshness,
    /// Another route is all that sets a parameter of this one apart from a word, so that a server with laxer reading may
    /// take a request for that.
    has_twin: bool,
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
        let found = self.by_method[method.index()].at(path.as_str()).map_err(|_| match reading {
            Reading::PLAIN => Unmatched::NoRoute,
            _ => Unmatched::Ambiguous,
        })?;
        let route = &self.list[*found.value];
        let taken = route.lenient.covers(reading) || self.rest_is_open && leaves_rest_open(&route.on, path);
        if !taken || route.has_twin && self.is_taken_for_another(method, path, *found.value) {
            return Err(Unmatched::Ambiguous);
        }
        Ok(Matched { route, access: route.access, service: found.params.get(&route.service) })
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
        self.twins.lead_to(method, path.as_str(), is_other)
    }

    /// Adds a route.
    pub(super) fn add(
        &mut self,
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
        let parameter = format!("{{{service}}}");
        let service_at = path.split('/').position(|part| part.contains(&parameter));
        self.by_method[method.index()].insert(path, self.list.len()).map_err(|why| why.to_string())?;
        self.twins.add(method, path, self.list.len());
        let on = on.to_owned();
        self.list.push(Route { on, access, service, service_at, lenient, freshness, has_twin: false });
        Ok(())
    }

    /// Ends the adding: says which routes another could be taken for.
    pub(super) fn close(&mut self) {
        for place in 0..self.list.len() {
            let (on, asks) = (&self.list[place].on, self.list[place].asks());
            let Some((method, path)) = on.split_once(' ') else { continue };
            let Some(method) = Method::parse(method) else { continue };
            let has_twin = self.twins.any_of(method, path, |other| self.list[other].asks() != asks);
            self.list[place].has_twin = has_twin;
        }
    }
}

impl Route {
    /// Whether it names a service.
    #[must_use]
    pub fn names_service(&self) -> bool {
        self.service_at.is_some()
    }

    /// How current a gate must be to decide about it.
    #[must_use]
    pub fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// What it asks for, of which service, and how current.
    fn asks(&self) -> (Access, Option<usize>, Freshness) {
        (self.access, self.service_at, self.freshness)
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

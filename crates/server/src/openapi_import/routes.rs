//! The routes of a policy: which stand for which operation, and which deny because more than one operation could be
//! meant.

use std::collections::HashMap;

use super::{
    ImportError, Warning,
    operations::Operation,
    servers,
    template::{Common, Template},
};

/// The routes, in the document's order.
#[derive(Default)]
pub(super) struct Table {
    pub(super) routes: Vec<Route>,
    /// What could not be made a route. The gate denies it, as it denies everything that has none.
    pub(super) lost: Vec<Lost>,
    by_shape: HashMap<(&'static str, String), usize>,
    /// Why every new route denies, where there is a policy in force.
    news: Option<&'static str>,
}

/// One route.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) template: Template,
    /// The operations that it stands for, by number: none where it only denies what two others have in common.
    pub(super) operations: Vec<usize>,
    /// Why it denies until somebody classifies it.
    pub(super) closed: Option<String>,
    /// Whether the policy in force has it, so that it is not for the import to change.
    pub(super) in_force: bool,
}

/// Operations without a route.
pub(super) struct Lost {
    pub(super) on: String,
    pub(super) operations: Vec<usize>,
}

impl Route {
    /// As the policy writes it.
    pub(super) fn on(&self) -> String {
        format!("{} {}", self.method, self.template.text)
    }
}

impl Table {
    /// For a policy in force: what it does not have is denied until somebody classifies it.
    pub(super) fn in_force() -> Self {
        Self { news: Some("it is new in the document"), ..Self::default() }
    }

    /// Takes a route of the policy in force.
    pub(super) fn take(&mut self, method: &'static str, template: Template, is_closed: bool) {
        let closed = is_closed.then(String::new);
        let route = Route { method, template, operations: Vec::new(), closed, in_force: true };
        self.insert(route);
    }

    /// Adds the routes of all operations.
    pub(super) fn add_all(
        &mut self,
        operations: &[Operation<'_>],
        warnings: &mut Vec<Warning>,
    ) -> Result<(), ImportError> {
        let mut renamed = Vec::new();
        for (number, operation) in operations.iter().enumerate() {
            for base in operation.bases() {
                let service = operation.service.map(|service| service.name);
                let template = Template::of_document(&format!("{base}{}", operation.path), service);
                let template = template.map_err(|why| ImportError::new(&operation.place, why))?;
                if template.param("service").is_some_and(|written| written != "service") {
                    renamed.push(operation.on());
                }
                self.add(number, operation, template, warnings);
            }
        }
        if !renamed.is_empty() {
            let what = format!(
                "nothing says that {{service}} is the id of a service of Keygate's, and so it is none in {}",
                servers::some(&renamed)
            );
            warnings.push(Warning { place: "paths".to_owned(), what });
        }
        Ok(())
    }

    /// Sees to requests that are of two operations, neither of which is more exact: OpenAPI leaves open which is meant,
    /// so that they get a route of their own that denies.
    pub(super) fn settle(
        &mut self,
        operations: &[Operation<'_>],
        warnings: &mut Vec<Warning>,
    ) -> Result<(), ImportError> {
        let mut crossings = 0;
        for second in 0..self.routes.len() {
            for first in 0..second {
                let Some(both) = self.crossing(first, second) else { continue };
                crossings += 1;
                if crossings > CROSSINGS_MAX {
                    let why =
                        format!("more than {CROSSINGS_MAX} pairs of paths can be told apart by nothing");
                    return Err(ImportError::new("paths", why));
                }
                self.settle_pair(first, second, both, operations, warnings);
            }
        }
        while let Some(number) = self.misfit() {
            self.lose(number, operations, warnings);
        }
        Ok(())
    }

    fn add(
        &mut self,
        number: usize,
        operation: &Operation<'_>,
        template: Template,
        warnings: &mut Vec<Warning>,
    ) {
        let key = (operation.method, template.shape());
        let closed = template.wider.map(str::to_owned).or_else(|| lacks_service(operation, &template));
        if let Some(why) = &closed {
            let what = format!("denied until it is classified: {why}");
            warnings.push(Warning { place: operation.place.clone(), what });
        }
        if let Some(&same) = self.by_shape.get(&key) {
            self.routes[same].operations.push(number);
            self.routes[same].template.take_in(&template);
            if self.routes[same].operations.len() > 1 || (!self.routes[same].in_force && closed.is_some()) {
                self.close(same, &format!("it is also {}", operation.on()), &operation.place, warnings);
            }
            return;
        }
        let method = operation.method;
        let closed = closed.or_else(|| self.news.map(str::to_owned));
        self.insert(Route { method, template, operations: vec![number], closed, in_force: false });
    }

    /// A route that the gate's router cannot hold beside the others, put in as the compiler of policies does.
    fn misfit(&self) -> Option<usize> {
        let mut order: Vec<usize> = (0..self.routes.len()).collect();
        order.sort_unstable_by_key(|number| self.routes[*number].on());
        let mut routers: HashMap<&str, matchit::Router<()>> = HashMap::new();
        for (place, number) in order.iter().enumerate() {
            let route = &self.routes[*number];
            let router = routers.entry(route.method).or_default();
            if router.insert(&route.template.text, ()).is_ok() {
                continue;
            }
            // What is in force stays: it is one of those before that does not fit to it.
            let meets = |other: &&usize| {
                let other = &self.routes[**other];
                let common = other.template.common(&route.template);
                !other.in_force && other.method == route.method && common != Common::Nothing
            };
            let new = |other: &&usize| !self.routes[**other].in_force;
            let before = || order[..place].iter().rev();
            let found =
                if route.in_force { before().find(meets).or(before().find(new)) } else { Some(number) };
            return found.copied();
        }
        None
    }

    /// Takes a route out. What has no route must not be decided by the route of another operation.
    fn lose(&mut self, number: usize, operations: &[Operation<'_>], warnings: &mut Vec<Warning>) {
        let lost = self.routes.remove(number);
        self.by_shape = self
            .routes
            .iter()
            .enumerate()
            .map(|(at, route)| ((route.method, route.template.shape()), at))
            .collect();
        let on = lost.on();
        let first = lost.operations.first().map(|number| &operations[*number]);
        let place = first.map_or("paths", |operation| &operation.place).to_owned();
        let what = format!("{on} cannot have a route beside the others, and is denied");
        warnings.push(Warning { place: place.clone(), what });
        for other in 0..self.routes.len() {
            let route = &self.routes[other];
            let shares = !matches!(route.template.common(&lost.template), Common::Nothing | Common::First);
            if route.method == lost.method && shares {
                self.close(other, &format!("it has requests that are {on} too"), &place, warnings);
            }
        }
        if !lost.operations.is_empty() {
            self.lost.push(Lost { on, operations: lost.operations });
        }
    }

    fn settle_pair(
        &mut self,
        first: usize,
        second: usize,
        both: Option<String>,
        operations: &[Operation<'_>],
        warnings: &mut Vec<Warning>,
    ) {
        let (method, pair) = (self.routes[first].method, [first, second]);
        let names = pair.map(|number| self.routes[number].on());
        let why = format!("it is both {} and {}", names[0], names[1]);
        let template = both.and_then(|text| Template::of_policy(&text));
        let known = template.as_ref().and_then(|both| self.by_shape.get(&(method, both.shape())));
        if known.is_some_and(|known| !pair.contains(known)) {
            return;
        }
        let of = |number: usize| self.routes[number].operations.first().map(|number| &operations[*number]);
        let place =
            pair.into_iter().rev().find_map(of).map_or("paths", |operation| &operation.place).to_owned();
        if let Some(template) = template.filter(|_| known.is_none()) {
            let what = format!("{method} {} is denied until it is classified: {why}", template.text);
            warnings.push(Warning { place, what });
            self.insert(Route {
                method,
                template,
                operations: Vec::new(),
                closed: Some(why),
                in_force: false,
            });
            return;
        }
        for (number, other) in [(first, &names[1]), (second, &names[0])] {
            self.close(number, &format!("it has requests that are {other} too"), &place, warnings);
        }
    }

    /// What two routes have in common, if neither is a part of the other and that matters.
    fn crossing(&self, first: usize, second: usize) -> Option<Option<String>> {
        let (first, second) = (&self.routes[first], &self.routes[second]);
        let both_known = first.in_force && second.in_force;
        let both_closed = first.closed.is_some() && second.closed.is_some();
        if first.method != second.method || both_known || both_closed {
            return None;
        }
        match first.template.common(&second.template) {
            Common::Some(both) => Some(both),
            _ => None,
        }
    }

    fn insert(&mut self, route: Route) {
        self.by_shape.insert((route.method, route.template.shape()), self.routes.len());
        self.routes.push(route);
    }

    /// Makes a route deny. One that is in force is the operator's: they are told.
    fn close(&mut self, number: usize, why: &str, place: &str, warnings: &mut Vec<Warning>) {
        let route = &mut self.routes[number];
        let what = if route.in_force {
            format!("{} is in force, and left as it is: {why}", route.on())
        } else {
            route.closed.get_or_insert_with(|| why.to_owned());
            format!("{} is denied until it is classified: {why}", route.on())
        };
        warnings.push(Warning { place: place.to_owned(), what });
    }
}

/// Without its service in the path, a route would be open to tokens for every service.
fn lacks_service(operation: &Operation<'_>, template: &Template) -> Option<String> {
    let service = operation.service.filter(|service| service.must)?;
    let lacks = template.param(service.name).is_none();
    lacks.then(|| {
        format!("the service should be the parameter {:?}, which the path does not have", service.name)
    })
}

const CROSSINGS_MAX: usize = 1000;

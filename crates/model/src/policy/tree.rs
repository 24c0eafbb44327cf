//! Routes by the segments of their paths, and the one that a path leads to: words before parameters before rests, at every
//! segment, and back where that leads nowhere.

use std::{borrow::Cow, cell::Cell, cmp::Reverse, collections::HashMap};

use foldhash::fast::RandomState;

/// What comes next in the paths of some routes.
#[derive(Debug, Default)]
pub(super) struct Node {
    words: Words,
    /// In the order in which they are tried.
    parameters: Vec<(Around, Node)>,
    /// Routes that end here.
    routes: Vec<usize>,
    /// Routes that take the rest, if there is any.
    rests: Vec<usize>,
}

/// The words that may come next. Most often there is one, and then hashing it would be most of the time.
#[derive(Debug, Default)]
struct Words {
    list: Vec<(Box<str>, Node)>,
    /// Places in the list, once it is too long to be read through.
    places: Option<HashMap<Box<str>, usize, RandomState>>,
}

/// What stands before and after the parameter of a segment. The longest is tried first, and what stands before counts
/// more.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Around {
    lengths: Reverse<(usize, usize)>,
    before: Box<str>,
    after: Box<str>,
}

/// How the words of routes are read.
type Reading = fn(&str) -> Cow<'_, str>;

/// As they stand.
pub(super) fn as_written(word: &str) -> Cow<'_, str> {
    word.into()
}

/// More than this many words are hashed.
const LIST_MAX: usize = 6;

/// The most spellings of a segment with a parameter in one place: each is tried.
const PARAMETERS_MAX: usize = 256;

impl Node {
    /// Adds a route. False: its path has a parameter where there are too many already.
    pub(super) fn add(&mut self, template: &str, route: usize, read: Reading) -> bool {
        let mut node = self;
        for segment in template.split('/').skip(1) {
            if segment.starts_with("{*") {
                node.rests.push(route);
                return true;
            }
            node = match parameter(segment) {
                None => node.words.entry(&read(segment)),
                Some((before, after)) => match node.parameter(Around::new(&read(before), &read(after))) {
                    Some(node) => node,
                    None => return false,
                },
            };
        }
        node.routes.push(route);
        true
    }

    fn parameter(&mut self, around: Around) -> Option<&mut Self> {
        let place = match self.parameters.binary_search_by(|(known, _)| known.cmp(&around)) {
            Ok(place) => place,
            Err(_) if self.parameters.len() == PARAMETERS_MAX => return None,
            Err(place) => {
                self.parameters.insert(place, (around, Self::default()));
                place
            }
        };
        Some(&mut self.parameters[place].1)
    }

    /// The best routes for a path, which begins with a slash.
    pub(super) fn find(&self, path: &str) -> Option<&[usize]> {
        let Some(rest) = path.strip_prefix('/') else { return some(&self.routes) };
        // Segments are short: to call anything that looks for many bytes at once costs more than it saves.
        let end = rest.bytes().position(|byte| byte == b'/').unwrap_or(rest.len());
        let (segment, after) = rest.split_at(end);
        if let Some(found) = self.words.get(segment).and_then(|node| node.find(after)) {
            return Some(found);
        }
        let mut fitting = self.parameters.iter().filter(|(around, _)| around.fits(segment));
        let found = fitting.find_map(|(_, node)| node.find(after));
        found.or_else(|| if rest.is_empty() { None } else { some(&self.rests) })
    }

    /// Whether a path that has these template segments may end at a route for which `is_other` holds, as far as `left`
    /// looks tell; or else that it may.
    pub(super) fn meets(
        &self,
        segments: &[&str],
        is_other: &impl Fn(usize) -> bool,
        read: Reading,
        left: &Cell<u32>,
    ) -> bool {
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
        let by_parameter = self.parameters.iter().any(|(_, node)| node.meets(rest, is_other, read, left));
        by_parameter
            || match parameter(first) {
                None => {
                    self.words.get(&read(first)).is_some_and(|node| node.meets(rest, is_other, read, left))
                }
                Some(_) => self.words.list.iter().any(|(_, node)| node.meets(rest, is_other, read, left)),
            }
    }

    fn holds(&self, is_other: &impl Fn(usize) -> bool, left: &Cell<u32>) -> bool {
        let Some(fewer) = left.get().checked_sub(1) else { return true };
        left.set(fewer);
        self.routes.iter().chain(&self.rests).any(|route| is_other(*route))
            || self.words.list.iter().any(|(_, node)| node.holds(is_other, left))
            || self.parameters.iter().any(|(_, node)| node.holds(is_other, left))
    }
}

impl Words {
    fn get(&self, word: &str) -> Option<&Node> {
        self.place(word).map(|place| &self.list[place].1)
    }

    fn entry(&mut self, word: &str) -> &mut Node {
        let place = self.place(word).unwrap_or_else(|| self.push(word));
        &mut self.list[place].1
    }

    fn place(&self, word: &str) -> Option<usize> {
        match &self.places {
            None => self.list.iter().position(|(known, _)| **known == *word),
            Some(places) => places.get(word).copied(),
        }
    }

    fn push(&mut self, word: &str) -> usize {
        let place = self.list.len();
        self.list.push((word.into(), Node::default()));
        if let Some(places) = &mut self.places {
            places.insert(word.into(), place);
        } else if place == LIST_MAX {
            let placed = self.list.iter().enumerate().map(|(place, (word, _))| (word.clone(), place));
            self.places = Some(placed.collect());
        }
        place
    }
}

impl Around {
    fn new(before: &str, after: &str) -> Self {
        Self { lengths: Reverse((before.len(), after.len())), before: before.into(), after: after.into() }
    }

    fn fits(&self, segment: &str) -> bool {
        let Reverse((before, after)) = self.lengths;
        // Most often there is nothing around it. Not to be compared: an empty text lies nowhere, and to read nothing from
        // there with AVX-512 was measured at a quarter of a decision (a masked load that would fault).
        segment.len() > before + after
            && (before == 0 || segment.starts_with(&*self.before))
            && (after == 0 || segment.ends_with(&*self.after))
    }
}

/// What stands before and after the parameter of a segment. None for a word.
pub(super) fn parameter(segment: &str) -> Option<(&str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (_, after) = rest.split_once('}')?;
    Some((before, after))
}

fn some(routes: &[usize]) -> Option<&[usize]> {
    Some(routes).filter(|routes| !routes.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Segments that like to be each other.
    fn segment() -> impl Strategy<Value = String> {
        prop_oneof!["[ab]{1,2}", "[ab]?\\{p\\}[ab]?", Just(String::new())]
    }

    fn template() -> impl Strategy<Value = String> {
        (prop::collection::vec(segment(), 0..4), prop::bool::weighted(0.2)).prop_map(
            |(segments, has_rest)| {
                let named = |(at, segment): (usize, &String)| segment.replace("{p}", &format!("{{p{at}}}"));
                let path: String = segments.iter().enumerate().map(|at| format!("/{}", named(at))).collect();
                if has_rest || path.is_empty() { format!("{path}/{{*rest}}") } else { path }
            },
        )
    }

    /// How a segment is taken: by a word, a parameter with so much around it, or a rest. The least is the best.
    type Taken = (u8, Reverse<(usize, usize)>);

    /// How a template takes a path, segment by segment. None: it does not.
    fn taken(template: &str, path: &str) -> Option<Vec<Taken>> {
        let (mut taken, mut rest) = (Vec::new(), path);
        for segment in template.split('/').skip(1) {
            rest = rest.strip_prefix('/')?;
            if segment.starts_with("{*") {
                taken.push((2, Reverse((0, 0))));
                return (!rest.is_empty()).then_some(taken);
            }
            let (first, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            taken.push(match parameter(segment) {
                None if segment == first => (0, Reverse((0, 0))),
                Some((before, after)) if Around::new(before, after).fits(first) => {
                    (1, Reverse((before.len(), after.len())))
                }
                _ => return None,
            });
            rest = after;
        }
        rest.is_empty().then_some(taken)
    }

    proptest! {
        #[test]
        fn of_all_that_take_a_path_the_best_is_found(
            templates in prop::collection::vec(template(), 1..12),
            paths in prop::collection::vec("(/[ab]{0,3}){1,4}", 64),
        ) {
            let (mut router, mut tree) = (matchit::Router::new(), Node::default());
            let fitting: Vec<usize> = (0..templates.len())
                .filter(|place| router.insert(&templates[*place], *place).is_ok())
                .collect();
            for place in &fitting {
                prop_assert!(tree.add(&templates[*place], *place, as_written));
            }
            for path in &paths {
                let taking = fitting.iter().filter_map(|place| Some((taken(&templates[*place], path)?, *place)));
                let best = taking.min().map(|(_, place)| place);
                let found = tree.find(path).map(<[usize]>::to_vec);
                prop_assert_eq!(found, best.map(|place| vec![place]), "{} among {:?}", path, &templates);
                // The router does not always go back where it could: it finds less, or what is not the best.
                prop_assert!(best.is_some() || router.at(path).is_err());
            }
        }
    }

    #[test]
    fn of_parameters_in_one_place_there_may_be_so_many() {
        let mut tree = Node::default();
        let mut add = |number: usize| tree.add(&format!("/a{number}-{{p}}"), number, as_written);
        assert!((0..PARAMETERS_MAX).all(&mut add) && !add(PARAMETERS_MAX) && add(7));
    }

    #[test]
    fn many_words_are_found_as_few_are() {
        let mut tree = Node::default();
        assert!((0..100).all(|number| tree.add(&format!("/{number}/x"), number, as_written)));
        assert!((0..100).all(|number| tree.find(&format!("/{number}/x")) == Some(&[number])));
        assert_eq!((tree.find("/100/x"), tree.find("/7"), tree.find("/7/x/")), (None, None, None));
    }
}

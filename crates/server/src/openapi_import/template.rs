//! Path templates: OpenAPI's brought into those of a policy, and what two of them have in common.

use keygate_model::{Path, ask::Reading};

/// A path of a policy, and what OpenAPI meant by it.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) text: String,
    segments: Vec<Segment>,
    /// The parameters, as OpenAPI and as the policy name them.
    pub(super) params: Vec<(String, String)>,
    /// Why a policy cannot say what OpenAPI meant. The template is wider then, and good for denying only.
    pub(super) wider: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    /// One parameter, with what stands before and behind it.
    Param {
        before: String,
        name: String,
        behind: String,
        /// Whether OpenAPI meant several parameters, and so less than this.
        several: bool,
    },
    /// All that is left of the path.
    Rest,
}

/// What two templates have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Common {
    Nothing,
    Everything,
    /// The first is a part of the second.
    First,
    /// The second is a part of the first.
    Second,
    /// Some paths, and each has others: this template holds exactly those, if there is one that does.
    Some(Option<String>),
}

impl Template {
    /// Reads a path of a document, of which `service` is the service's id. What is no template at all is refused.
    pub(super) fn of_document(path: &str, service: Option<&str>) -> Result<Self, String> {
        let mut template =
            Self { text: String::new(), segments: Vec::new(), params: Vec::new(), wider: None };
        // A policy takes `{service}` for the service's id by itself.
        if service != Some(SERVICE) {
            template.params.push((String::new(), SERVICE.to_owned()));
        }
        for segment in path.strip_prefix('/').ok_or("a path begins with `/`")?.split('/') {
            let pieces = pieces(segment)?;
            if template.segments.last() == Some(&Segment::Rest) {
                return Err("a parameter for several segments can only stand at the end".to_owned());
            }
            template.push(&pieces);
        }
        if template.params.len() > PARAMS_MAX {
            return Err(format!("a path has {} parameters at most", PARAMS_MAX - 1));
        }
        if Path::new(&template.example()).reading() != Reading::PLAIN {
            template
                .wider
                .get_or_insert("it has characters that servers read in two ways, so that the gate denies it");
        }
        Ok(template)
    }

    /// Reads a path of a policy. None if it is not one.
    pub(super) fn of_policy(text: &str) -> Option<Self> {
        if text.contains("{{") || text.contains("}}") {
            return None;
        }
        let mut segments = Vec::new();
        let mut params = Vec::new();
        for segment in text.strip_prefix('/')?.split('/') {
            segments.push(match segment.split_once('{') {
                None => Segment::Fixed(segment.to_owned()),
                Some((_, "*}")) => return None,
                Some(("", rest)) if rest.starts_with('*') => Segment::Rest,
                Some((before, rest)) => {
                    let (name, behind) = rest.split_once('}')?;
                    params.push((name.to_owned(), name.to_owned()));
                    Segment::Param {
                        before: before.to_owned(),
                        name: name.to_owned(),
                        behind: behind.to_owned(),
                        several: false,
                    }
                }
            });
        }
        Some(Self { text: text.to_owned(), segments, params, wider: None })
    }

    /// The same for all templates that match the same paths.
    pub(super) fn shape(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Fixed(text) => format!("/{text}"),
            Segment::Param { before, behind, .. } => format!("/{before}{{}}{behind}"),
            Segment::Rest => "/{*}".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }

    /// A path that it matches.
    pub(super) fn example(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Fixed(text) => format!("/{text}"),
            Segment::Param { before, behind, .. } => format!("/{before}x{behind}"),
            Segment::Rest => "/x".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }

    /// The name that the policy gives to a parameter of the document.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, written)| written.as_str())
    }

    pub(super) fn common(&self, other: &Self) -> Common {
        if self.is_apart(other) {
            return Common::Nothing;
        }
        let (mut first, mut second, mut exact) = (false, false, true);
        for pair in pairs(&self.segments, &other.segments) {
            let Some((mine, theirs)) = pair else { return Common::Nothing };
            match mine.common(theirs) {
                Common::Nothing => return Common::Nothing,
                Common::Everything => {}
                Common::First => first = true,
                Common::Second => second = true,
                Common::Some(_) => exact = false,
            }
        }
        match (first, second) {
            _ if !exact => Common::Some(None),
            (false, false) => Common::Everything,
            (true, false) => Common::First,
            (false, true) => Common::Second,
            (true, true) => Common::Some(Some(self.both(other))),
        }
    }

    /// Whether a fixed segment tells them apart. Of a document's many pairs of paths nearly all are told apart here.
    fn is_apart(&self, other: &Self) -> bool {
        for (mine, theirs) in self.segments.iter().zip(&other.segments) {
            if let (Segment::Fixed(mine), Segment::Fixed(theirs)) = (mine, theirs)
                && mine != theirs
            {
                return true;
            }
        }
        false
    }

    /// Takes in another template of the same shape: where either meant less than it matches, so does this.
    pub(super) fn take_in(&mut self, other: &Self) {
        for pair in self.segments.iter_mut().zip(&other.segments) {
            if let (Segment::Param { several, .. }, Segment::Param { several: other, .. }) = pair {
                *several |= other;
            }
        }
    }

    /// The paths that both match, each of them the narrower one somewhere.
    fn both(&self, other: &Self) -> String {
        let mut text = String::new();
        for (mine, theirs) in pairs(&self.segments, &other.segments).flatten() {
            let narrower = if mine.common(theirs) == Common::Second { theirs } else { mine };
            narrower.write(&mut text);
        }
        text
    }

    fn push(&mut self, pieces: &[Piece<'_>]) {
        self.text.push('/');
        let names: Vec<&str> = pieces.iter().filter_map(Piece::name).collect();
        let fixed = |piece: Option<&Piece<'_>>| piece.and_then(Piece::fixed).unwrap_or_default().to_owned();
        let segment = match *names {
            [] => Segment::Fixed(fixed(pieces.first())),
            [name, ..] => {
                if names.iter().any(|name| name.starts_with(['+', '*']) || name.ends_with(['+', '*'])) {
                    let written = self.name(name);
                    self.text.push_str(&format!("{{*{written}}}"));
                    self.segments.push(Segment::Rest);
                    self.wider = Some("a parameter for several segments is not OpenAPI's");
                    return;
                }
                if names.len() > 1 {
                    self.wider = Some("a policy has one parameter in a segment");
                }
                let (before, behind) = (fixed(pieces.first()), fixed(pieces.last()));
                let written = self.name(name);
                self.text.push_str(&format!("{before}{{{written}}}{behind}"));
                let several = names.len() > 1;
                self.segments.push(Segment::Param { before, name: written, behind, several });
                return;
            }
        };
        if let Segment::Fixed(text) = &segment {
            self.text.push_str(text);
        }
        self.segments.push(segment);
    }

    /// A parameter's name as the policy can write it, and unlike those before.
    fn name(&mut self, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
        let trimmed = name.trim_matches(['+', '*']);
        let mut written: String = trimmed.chars().map(plain).collect();
        if self.params.iter().any(|(known, _)| known == name) {
            self.wider = Some("the same parameter stands in it twice");
        }
        while written.is_empty() || self.params.iter().any(|(_, known)| *known == written) {
            written.push('_');
        }
        self.params.push((name.to_owned(), written.clone()));
        written
    }
}

impl Segment {
    fn common(&self, other: &Self) -> Common {
        match (self, other) {
            (Self::Rest, Self::Rest) => Common::Everything,
            (Self::Rest, _) => Common::Second,
            (_, Self::Rest) => Common::First,
            (Self::Fixed(mine), Self::Fixed(theirs)) if mine == theirs => Common::Everything,
            (Self::Fixed(_), Self::Fixed(_)) => Common::Nothing,
            (Self::Fixed(text), param) if param.takes(text) => Common::First,
            (param, Self::Fixed(text)) if param.takes(text) => Common::Second,
            (Self::Fixed(_), _) | (_, Self::Fixed(_)) => Common::Nothing,
            (
                Self::Param { before: b1, behind: e1, several: s1, .. },
                Self::Param { before: b2, behind: e2, several: s2, .. },
            ) => {
                let within =
                    |(b, e): (&str, &str), of: (&str, &str)| b.starts_with(of.0) && e.ends_with(of.1);
                let (mine, theirs) = ((b1.as_str(), e1.as_str()), (b2.as_str(), e2.as_str()));
                match (within(mine, theirs), within(theirs, mine)) {
                    (true, true) if s1 == s2 => Common::Everything,
                    (true, true) if *s1 => Common::First,
                    (true, true) => Common::Second,
                    (true, false) if !s2 => Common::First,
                    (false, true) if !s1 => Common::Second,
                    _ if meet(b1, b2, |text, start| text.starts_with(start))
                        && meet(e1, e2, |text, end| text.ends_with(end)) =>
                    {
                        Common::Some(None)
                    }
                    _ => Common::Nothing,
                }
            }
        }
    }

    /// Whether a parameter with something in it can be this text.
    fn takes(&self, text: &str) -> bool {
        let Self::Param { before, behind, .. } = self else { return false };
        text.len() > before.len() + behind.len() && text.starts_with(before) && text.ends_with(behind)
    }

    fn write(&self, text: &mut String) {
        text.push('/');
        match self {
            Self::Fixed(fixed) => text.push_str(fixed),
            Self::Param { before, name, behind, .. } => {
                let mut name = name.clone();
                while text.contains(&format!("{{{name}}}")) {
                    name.push('_');
                }
                text.push_str(&format!("{before}{{{name}}}{behind}"));
            }
            Self::Rest => text.push_str("{*rest}"),
        }
    }
}

/// Whether one of two texts is the beginning, or the end, of the other.
fn meet(one: &str, other: &str, has: impl Fn(&str, &str) -> bool) -> bool {
    has(one, other) || has(other, one)
}

/// The segments of two templates side by side; None where no path can be both. A `{*rest}` stands beside all that the
/// other has left, and is not empty.
fn pairs<'s>(
    mine: &'s [Segment],
    theirs: &'s [Segment],
) -> impl Iterator<Item = Option<(&'s Segment, &'s Segment)>> {
    let at = |segments: &'s [Segment], at: usize| {
        let rest = segments.last().filter(|last| **last == Segment::Rest);
        segments.get(at).or(rest)
    };
    let is_empty = |segments: &[Segment], at: usize| {
        at + 1 == segments.len() && segments[at] == Segment::Fixed(String::new())
    };
    let starts_rest = |segments: &[Segment], at: usize| segments.get(at) == Some(&Segment::Rest);
    (0..mine.len().max(theirs.len())).map(move |number| {
        let empty = (starts_rest(mine, number) && is_empty(theirs, number))
            || (starts_rest(theirs, number) && is_empty(mine, number));
        if empty { None } else { at(mine, number).zip(at(theirs, number)) }
    })
}

/// A part of a segment of OpenAPI's.
enum Piece<'p> {
    Fixed(&'p str),
    Param(&'p str),
}

impl<'p> Piece<'p> {
    fn name(&self) -> Option<&'p str> {
        if let Self::Param(name) = self { Some(name) } else { None }
    }

    fn fixed(&self) -> Option<&'p str> {
        if let Self::Fixed(text) = self { Some(text) } else { None }
    }
}

fn pieces(segment: &str) -> Result<Vec<Piece<'_>>, String> {
    let braces = || "its braces do not match".to_owned();
    let mut pieces = Vec::new();
    let mut rest = segment;
    loop {
        let (fixed, behind) =
            rest.split_once('{').map_or((rest, None), |(fixed, behind)| (fixed, Some(behind)));
        if fixed.contains('}') {
            return Err(braces());
        }
        if fixed.contains(['?', '#']) {
            return Err("a path has no query and no fragment: parameters say what stands there".to_owned());
        }
        pieces.push(Piece::Fixed(fixed));
        let Some(behind) = behind else { return Ok(pieces) };
        let (name, behind) = behind.split_once('}').ok_or_else(braces)?;
        if name.contains('{') {
            return Err(braces());
        }
        if name.is_empty() {
            return Err("a parameter without a name".to_owned());
        }
        if name.starts_with(['?', '&', '#', ';', '.']) {
            return Err(format!("`{{{name}}}` is a URI template, which OpenAPI's paths are not"));
        }
        pieces.push(Piece::Param(name));
        rest = behind;
    }
}

const SERVICE: &str = "service";
/// As many as the gate's router takes, with one that is only kept free.
const PARAMS_MAX: usize = 26;

//! Recordings of the real API, as go-vcr wrote them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

/// One file.
#[derive(Deserialize)]
pub(super) struct Cassette {
    pub(super) interactions: Vec<Interaction>,
}

/// One request and its answer.
#[derive(Deserialize)]
pub(super) struct Interaction {
    pub(super) request: Request,
    pub(super) response: Response,
}

#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) body: String,
    pub(super) headers: BTreeMap<String, Vec<String>>,
    url: String,
    pub(super) method: String,
}

#[derive(Deserialize)]
pub(super) struct Response {
    pub(super) body: String,
    headers: BTreeMap<String, Vec<String>>,
    pub(super) code: u16,
}

/// Every file by its name in INDEX.md.
pub(super) fn load_all() -> BTreeMap<String, Cassette> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contract/recordings"));
    let mut files = Vec::new();
    walk(root, &mut files);
    let load = |path: &PathBuf| {
        let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).expect("a file");
        let cassette = serde_norway::from_str(&text).unwrap_or_else(|why| panic!("{name}: {why}"));
        (name, cassette)
    };
    files.iter().map(load).collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|why| panic!("{}: {why}", dir.display()));
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

/// The part of `GET /service/FPkm…/details` that is the same for every service: what stands for an id, in its place.
const IDS: [(&str, &str); 8] = [
    ("service", "{service}"),
    ("version", "{number}"),
    ("tokens", "{token}"),
    ("automation-tokens", "{token}"),
    ("service-authorizations", "{authorization}"),
    ("customer", "{customer}"),
    ("events", "{event}"),
    ("user", "{user}"),
];

impl Request {
    /// The path with the names of ids in their places, and the query with its question mark.
    pub(super) fn template(&self) -> (String, &str) {
        let target = self.url.strip_prefix("https://api.fastly.com").expect("the real API");
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let mut segments: Vec<&str> = path.split('/').collect();
        for at in 1..segments.len() {
            let id = IDS.iter().find(|(before, _)| *before == segments[at - 1]);
            if let Some((_, id)) = id.filter(|_| !["self", "search"].contains(&segments[at])) {
                segments[at] = id;
            }
        }
        (segments.join("/"), query)
    }

    /// `GET /service/{service}/details`.
    pub(super) fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.template().0)
    }
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    /// The body as JSON; null where there is none.
    pub(super) fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_str(&self.body).expect("JSON") }
    }
}

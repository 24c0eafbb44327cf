//! Rules about the code itself, as tests: rooms and arrows, who may call what, sizes, and that documents name what is
//! there.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// DESIGN §2: the only arrows.
const ARROWS: [(&str, &[&str]); 5] = [
    ("model", &[]),
    ("gate", &["model"]),
    ("authority", &["model"]),
    ("purge", &["model"]),
    ("server", &["authority", "gate", "model", "purge"]),
];

/// Rooms that must stay free of these: what each would bring in with them.
const KEPT_OUT: [(&str, &[&str]); 4] = [
    ("model", &["tokio", "rusqlite", "axum", "hyper", "http", "jiff", "getrandom"]),
    ("gate", &["rusqlite", "axum", "jiff", "getrandom"]),
    ("authority", &["axum", "hyper", "http", "getrandom"]),
    ("purge", &["rusqlite", "axum"]),
];

const FILE_LINES_MAX: usize = 400;

#[test]
fn rooms_have_only_their_arrows() {
    let rooms: BTreeMap<_, _> = ARROWS.into_iter().collect();
    let there: BTreeSet<String> =
        fs::read_dir(root().join("crates")).unwrap().map(|entry| name(&entry.unwrap().path())).collect();
    assert_eq!(there, rooms.keys().map(|room| (*room).to_owned()).collect(), "crates/ holds the five rooms");
    for (room, allowed) in &rooms {
        let dependencies = dependencies(room);
        let arrows: Vec<_> = dependencies.iter().filter_map(|name| name.strip_prefix("keygate-")).collect();
        for arrow in &arrows {
            assert!(allowed.contains(arrow), "{room} → {arrow} is no arrow of DESIGN §2");
        }
    }
    for (room, banned) in KEPT_OUT {
        let dependencies = dependencies(room);
        for name in banned {
            assert!(!dependencies.contains(*name), "{room} must not depend on {name}");
        }
    }
}

#[test]
fn only_the_command_line_acts_as_the_operator() {
    for file in sources() {
        let at_the_command_line = file.starts_with(root().join("crates/server/src/cli"));
        let where_it_is_made = file.ends_with("crates/model/src/permit.rs");
        let text = fs::read_to_string(&file).unwrap();
        let calls = text.contains("of_the_operator") && file.starts_with(root().join("crates"));
        assert!(!calls || at_the_command_line || where_it_is_made, "{} acts as the operator", file.display());
    }
}

#[test]
fn unsafe_is_forbidden_and_lints_are_inherited() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains("unsafe_code = \"forbid\""));
    for room in ARROWS.map(|(room, _)| room) {
        assert!(read(&format!("crates/{room}/Cargo.toml")).contains("[lints]\nworkspace = true"), "{room}");
    }
}

#[test]
fn files_stay_small() {
    for file in sources() {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines; two nouns in one?", file.display());
    }
}

#[test]
fn documents_name_what_is_there() {
    let mut documents =
        vec![root().join("README.md"), root().join("ARCHITECTURE.md"), root().join("CHANGELOG.md")];
    walk(&root().join("docs"), "md", &mut documents);
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for named in links(&text).into_iter().chain(paths(&text)) {
            let near = document.parent().unwrap().join(&named);
            assert!(near.exists() || root().join(&named).exists(), "{} names {named}", document.display());
        }
    }
}

#[test]
fn lists_in_documents_are_whole() {
    let notes = read("docs/decisions/README.md");
    for note in fs::read_dir(root().join("docs/decisions")).unwrap() {
        let note = name(&note.unwrap().path());
        assert!(
            note == "README.md" || notes.contains(&format!("({note})")),
            "docs/decisions/README.md: {note}"
        );
    }
    let table = read("docs/administration.md");
    let mut events = 0;
    for file in ["tell", "version"] {
        let source = read(&format!("crates/model/src/event/{file}.rs"));
        let names = source.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
        for name in names.filter(|name| name.contains('.') && !name.contains(' ')) {
            assert!(table.contains(&format!("`{name}`")), "docs/administration.md: {name}");
            events += 1;
        }
    }
    assert!(events > 30, "only {events} events were found");
}

#[test]
fn nothing_committed_names_this_machine_or_a_registry() {
    let home = std::env::var("HOME").unwrap_or_default();
    for file in sources().into_iter().chain([root().join("tests/clients/package-lock.json")]) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(home.len() < 4 || !text.contains(&format!("{home}/")), "{} names a home", file.display());
        assert!(!text.contains("\"resolved\": \"http"), "{} names a registry", file.display());
    }
}

/// What a room depends on outside of tests.
fn dependencies(room: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(&format!("crates/{room}/Cargo.toml")).parse().unwrap();
    manifest.get("dependencies").and_then(|table| table.as_table()).unwrap().keys().cloned().collect()
}

/// Targets of Markdown links to files.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let targets = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    targets.map(|target| target.split('#').next().unwrap_or_default().to_owned()).collect()
}

/// Paths in backticks that look like files of this project.
fn paths(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let ours = ["crates/", "docs/", "deploy/", "conformance/", "tests/", "bench/"];
    quoted
        .filter(|path| {
            ours.iter().any(|start| path.starts_with(start)) && !path.contains(['*', '{', ' ', '<'])
        })
        .map(str::to_owned)
        .collect()
}

fn sources() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["crates", "bench/src"] {
        walk(&root().join(folder), "rs", &mut files);
    }
    files.retain(|file| !file.components().any(|part| part.as_os_str() == "tests"));
    files
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, ending, found);
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

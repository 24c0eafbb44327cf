//! What docs/clients.md tells to write, run as it stands there.

use std::fs;

use crate::{
    client::{Client, at},
    house::{House, LOGIN},
};

#[test]
fn the_python_snippet_runs() {
    let house = House::new(&[]);
    assert_eq!(Client::Python.print_snippet(&snippet("clients", "python"), &house).trim(), LOGIN);
}

#[test]
fn the_javascript_snippet_runs() {
    let house = House::new(&[]);
    assert_eq!(Client::Js.print_snippet(&snippet("clients", "js"), &house).trim(), LOGIN);
}

/// Compiled with the other scripts of this client, so it stands in a file of theirs.
#[test]
fn the_rust_snippet_is_what_runs() {
    let compiled = fs::read_to_string(Client::Rust.folder().join("src/snippet.rs")).expect("its file");
    assert_eq!(snippet("clients", "rust"), compiled.replace("pub async fn main", "async fn main"));
    let house = House::new(&[]);
    assert_eq!(Client::Rust.print_snippet("", &house).trim(), LOGIN);
}

/// The one block of this language in a document.
pub(crate) fn snippet(document: &str, language: &str) -> String {
    let document = fs::read_to_string(at(&format!("docs/{document}.md"))).expect("the document");
    let blocks: Vec<_> = document.split(&format!("```{language}\n")).skip(1).collect();
    let [block] = blocks[..] else { panic!("{} blocks of {language}", blocks.len()) };
    block.split_once("```").expect("its end").0.to_owned()
}

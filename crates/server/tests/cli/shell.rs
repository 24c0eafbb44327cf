//! What stands around the commands: help, completions, manual pages, colours, and that no secret is an argument.

use std::fs;

use clap::{Command, CommandFactory as _};
use keygate_server::cli::Cli;

use crate::{
    house::{House, Ran},
    process::Home,
    terminal::at_a_terminal,
};

/// Every command that does something.
fn leaves(command: Command) -> Vec<Command> {
    if !command.has_subcommands() {
        return vec![command];
    }
    command.get_subcommands().cloned().flat_map(leaves).collect()
}

#[test]
fn every_command_shows_an_example() {
    Cli::command().debug_assert();
    let leaves = leaves(Cli::command());
    assert!(leaves.len() > 20);
    for leaf in leaves {
        let after = leaf.get_after_help().map(ToString::to_string).unwrap_or_default();
        let shows = ["Example:\n  ", "Examples:\n  "].iter().any(|start| after.starts_with(start));
        assert!(shows, "{}", leaf.get_name());
        assert!(leaf.get_about().is_some(), "{}", leaf.get_name());
    }
}

/// Arguments are in every list of processes.
#[test]
fn no_argument_takes_a_secret() {
    for leaf in leaves(Cli::command()) {
        for argument in leaf.get_arguments().filter(|argument| argument.get_action().takes_values()) {
            let name = argument.get_id().as_str();
            let secret =
                ["password", "secret", "otp", "code", "access_token"].iter().any(|word| name.contains(word));
            let is_id = argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == "ID"));
            assert!(!secret && (name != "token" || is_id), "{} --{name}", leaf.get_name());
        }
    }
}

#[test]
fn completions_and_pages_are_made_for_every_command() {
    let home = Home::new();
    for (shell, has) in
        [("bash", "complete -F _keygate"), ("zsh", "#compdef keygate"), ("fish", "complete -c keygate")]
    {
        let script = Ran::of(home.command(&["completions", shell]), "");
        assert!(script.ok().contains(has) && script.out.contains("automation-token"), "{shell}");
    }
    Ran::of(home.command(&["man", "--dir", "man/man1"]), "").ok();
    for leaf in ["keygate.1", "keygate-login.1", "keygate-token-create.1", "keygate-event-export.1"] {
        let page = fs::read_to_string(home.path().join("man/man1").join(leaf)).expect("a page");
        assert!(page.contains(".SH SYNOPSIS"), "{leaf}");
        assert!(leaf == "keygate.1" || page.contains("Example:"), "{leaf}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let house = House::of_bob();
    let coloured = |seen: &str| seen.contains("\u{1b}[");
    assert!(!coloured(house.run(&["token", "list"], "").ok()));
    assert!(coloured(&at_a_terminal(&house, "token list", &[], &[])), "a header in bold");
    assert!(!coloured(&at_a_terminal(&house, "token list", &[("NO_COLOR", "1")], &[])));
    assert!(coloured(&at_a_terminal(&house, "token list", &[("NO_COLOR", "")], &[])), "empty is not set");
    assert!(!coloured(&at_a_terminal(&house, "token list", &[("TERM", "dumb")], &[])));
}

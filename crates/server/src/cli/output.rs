//! What the command line prints: to standard output what was asked for, to standard error what went wrong.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::builder::styling::{AnsiColor, Style};
use serde_json::Value;

/// Prints a line. A reader who has gone away is no error of ours.
pub(in crate::cli) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints one JSON object.
pub(in crate::cli) fn json(value: &Value) {
    line(value);
}

/// Prints what the server said, for people and programs alike.
pub(in crate::cli) fn pretty(value: &Value) {
    line(format_args!("{value:#}"));
}

/// Prints a table.
pub(in crate::cli) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    line(table);
}

/// Prints a list, one line each under a header, so that `grep` and `awk` can read it too.
pub(in crate::cli) fn list(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell)).collect::<Vec<_>>());
    }
    for (number, text) in table.to_string().lines().enumerate() {
        let text = text.trim_end().strip_prefix(' ').unwrap_or(text);
        if number == 0 { line(bold(&io::stdout(), text)) } else { line(text) }
    }
}

/// Prints what is known of one thing.
pub(in crate::cli) fn fields(fields: &[(&str, String)]) {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in fields {
        let name = bold(&io::stdout(), &format!("{name:width$}"));
        line(format_args!("{name}  {}", clean(value)));
    }
}

/// Says something beside what was asked for, to standard error.
pub(in crate::cli) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks on a terminal; elsewhere, and where a program reads, the answer is no, with the way to say yes.
pub(in crate::cli) fn agreed(question: &str, for_a_program: bool) -> io::Result<bool> {
    let stdin = io::stdin();
    if for_a_program || !stdin.is_terminal() {
        note("Nothing was done. To do it: the same command with --yes");
        return Ok(false);
    }
    note(format_args!("{question} [y/N]"));
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    let agreed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !agreed {
        note("Nothing was done.");
    }
    Ok(agreed)
}

/// Says what went wrong, and why.
pub(in crate::cli) fn error(why: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    let name = styled(&io::stderr(), Style::new().bold().fg_color(Some(AnsiColor::Red.into())), "keygate:");
    let _ = writeln!(stderr, "{name} {why}");
    for cause in why.chain().skip(1) {
        let _ = writeln!(stderr, "  because: {cause}");
    }
}

/// A terminal that may have colours: <https://no-color.org>.
pub(in crate::cli) fn has_colours(stream: &impl io::IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

pub(in crate::cli) fn styled(stream: &impl io::IsTerminal, style: Style, text: &str) -> String {
    if has_colours(stream) { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

fn bold(stream: &impl io::IsTerminal, text: &str) -> String {
    styled(stream, Style::new().bold(), text)
}

/// So many of them, in words: one token, two tokens.
pub(in crate::cli) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Text of somebody else's without what would move a terminal's cursor, change its title or turn its letters around.
pub(in crate::cli) fn clean(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|letter| if letter.is_control() || turns(letter) { '\u{fffd}' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_to_the_terminal_by_naming_a_token() {
        assert_eq!(
            clean("a\u{1b}[31mb\r\n\u{9b}2J\u{202e}c"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}2J\u{fffd}c"
        );
        assert_eq!(clean("Müller’s déploiement — 配備"), "Müller’s déploiement — 配備");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "token")), ["0 tokens", "1 token", "2 tokens"]);
    }
}

//! What the command line prints: to standard output what was asked for, to standard error what went wrong.

use std::io::Write as _;

use serde_json::Value;

/// Prints a line. A reader who has gone away is no error of ours.
pub(in crate::cli) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Says something to whoever runs the command, beside what was asked for.
pub(in crate::cli) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints one JSON object.
pub(in crate::cli) fn json(value: &Value) {
    line(value);
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

/// Says what went wrong, and why.
pub(in crate::cli) fn error(why: &anyhow::Error) {
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "keygate: {why}");
    for cause in why.chain().skip(1) {
        let _ = writeln!(stderr, "  because: {cause}");
    }
}

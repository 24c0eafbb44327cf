//! How the demo looks: `curl` lines that can be pasted, answers below them, colours on a terminal only.

use std::{io::IsTerminal as _, path::Path};

use keygate_authority::audit::Findings;
use serde_json::Value;

use super::{
    LOGIN, PASSWORD, Stage,
    play::{Answer, Call},
};
use crate::cli::output::{line, table};

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

pub(super) fn opening(stage: &Stage, folder: &Path) {
    line(paint(BOLD, "Keygate, live."));
    line("");
    line(format_args!("  API     http://{}", stage.address));
    line(format_args!("  cache   http://{}  (a stand-in; for Varnish see deploy/varnish)", stage.cache));
    line(format_args!("  data    {}", folder.display()));
    line(format_args!("  person  {LOGIN}, superuser, with a second factor"));
    line(format_args!("  shop    service {}", stage.shop));
    line(format_args!("  blog    service {}", stage.blog));
}

pub(super) fn chapter(number: u8, title: &str) {
    line("");
    line(paint(BOLD, &format!("{number}. {title}")));
}

pub(super) fn note(text: &str) {
    line(paint(DIM, &format!("   {text}")));
}

pub(super) fn call(call: &Call, answer: &Answer, good: bool) {
    line("");
    line(format_args!("   {} {}", paint(CYAN, "$"), curl(call)));
    let Answer { status, body, cache, milliseconds } = answer;
    let mark = if good { paint(GREEN, "✓") } else { paint(RED, "✗ not what it should be:") };
    let cache = cache.as_ref().map(|cache| format!("  X-Cache: {cache}")).unwrap_or_default();
    let status = format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    line(format_args!(
        "   {mark} {}{cache}  {}",
        paint(BOLD, &status),
        paint(DIM, &format!("{milliseconds:.1} ms"))
    ));
    if !body.is_empty() && body.len() < 700 {
        line(format_args!("     {body}"));
    }
}

/// The audit log as a table.
pub(super) fn events(log: &Value) {
    let rows = log["data"].as_array().into_iter().flatten().map(|event| {
        let text = |name: &str| event["attributes"][name].as_str().unwrap_or_default().to_owned();
        vec![text("created_at"), text("event_type"), text("description"), text("ip")]
    });
    table(&["when", "what", "in words", "from"], rows);
}

pub(super) fn audit(findings: &Findings) {
    chapter(7, "Prove that the log is whole");
    let Findings { events, rows, bad } = findings;
    let mark = if bad.is_empty() { paint(GREEN, "✓") } else { paint(RED, "✗") };
    line(format_args!(
        "\n   {mark} {events} events in a chain of hashes, {rows} rows with their seals, {} off",
        bad.len()
    ));
}

pub(super) fn verdict(good: bool) {
    line("");
    line(if good {
        paint(GREEN, "Every step answered as it should.")
    } else {
        paint(RED, "A step did not answer as it should.")
    });
}

pub(super) fn going_on(stage: &Stage, folder: &Path) {
    line("");
    line(paint(BOLD, "It goes on serving; Ctrl-C ends it."));
    line("");
    line("  Log in yourself, with this second factor in your authenticator app:");
    line(format_args!("    {}", *stage.secret));
    line(format_args!(
        "    curl http://{}/tokens -H 'Fastly-OTP: CODE' -d username={LOGIN} --data-urlencode 'password={PASSWORD}'",
        stage.address
    ));
    line("  Walk the audit log:");
    line(format_args!("    keygate audit verify --db sqlite:{}", folder.join("keygate.db").display()));
    line("  Serve in earnest:");
    line("    keygate serve --help");
}

/// The line that does the same in a shell.
fn curl(call: &Call) -> String {
    let mut text = "curl".to_owned();
    let plain = if call.form.is_empty() { "GET" } else { "POST" };
    if call.method.as_str() != plain {
        text.push_str(&format!(" -X {}", call.method));
    }
    if call.path.contains('[') {
        text.push_str(" -g");
    }
    text.push_str(&format!(" '{}{}'", format_args!("http://{}", call.host), call.path));
    for (name, value) in &call.headers {
        text.push_str(&format!(" -H '{name}: {value}'"));
    }
    for (name, value) in &call.form {
        text.push_str(&format!(" \\\n       --data-urlencode '{name}={value}'"));
    }
    text
}

/// Colours `text` if somebody sees colours.
fn paint(colour: &str, text: &str) -> String {
    let seen = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if seen { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

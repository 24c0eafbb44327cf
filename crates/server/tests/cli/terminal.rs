//! A terminal, by Debian's `script`: what a person sees who types.

use std::{
    io::{Read as _, Write as _},
    process::Command,
};

use crate::house::{House, spawn};

/// Runs a command at a terminal. Each answer is typed once its question stands there; returns all that was to be seen.
pub(crate) fn at_a_terminal(
    house: &House,
    command: &str,
    env: &[(&str, &str)],
    talk: &[(&str, &str)],
) -> String {
    let binary = env!("CARGO_BIN_EXE_keygate");
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &format!("{binary} {command}"), "/dev/null"]);
    script.env_clear().env("TERM", "xterm").env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh");
    script.env("HOME", house.home.path()).env("KEYGATE_URL", house.url()).envs(env.iter().copied());
    let mut child = spawn(&mut script);
    let mut input = child.stdin.take().expect("a keyboard");
    let mut screen = child.stdout.take().expect("a screen");
    let (mut seen, mut answered) = (String::new(), 0);
    let mut talk = talk.iter();
    let mut next = talk.next();
    let mut bytes = [0; 1024];
    while let Ok(read) = screen.read(&mut bytes)
        && read > 0
    {
        seen.push_str(&String::from_utf8_lossy(&bytes[..read]));
        if let Some((question, answer)) = next
            && seen[answered..].contains(question)
        {
            answered = seen.len();
            input.write_all(format!("{answer}\n").as_bytes()).expect("it reads");
            next = talk.next();
        }
    }
    let status = child.wait().expect("its end");
    assert!(status.success() && next.is_none(), "keygate {command}: {status}\n{seen}");
    seen
}

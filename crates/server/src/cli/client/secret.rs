//! Asking a person for what nobody else may see: at the terminal without echo, or line by line from standard input.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
};

use anyhow::{Context as _, bail};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Where secrets come from.
#[derive(Clone, Copy)]
pub(in crate::cli) enum Ask {
    Terminal,
    /// One line for each that is asked.
    Stdin,
}

impl Ask {
    pub(in crate::cli) fn new(password_stdin: bool) -> Self {
        if password_stdin { Self::Stdin } else { Self::Terminal }
    }

    /// A password, or a code: what is typed is not shown.
    pub(in crate::cli) fn secret(self, what: &str) -> anyhow::Result<Zeroizing<String>> {
        let secret = match self {
            Self::Stdin => line(what)?,
            Self::Terminal => at_terminal(what).with_context(|| {
                format!(
                    "There is no terminal to ask for the {} at; use --password-stdin",
                    what.to_lowercase()
                )
            })?,
        };
        if secret.is_empty() {
            bail!("The {} is empty; nothing was sent", what.to_lowercase());
        }
        Ok(secret)
    }

    /// A name, which may be seen.
    pub(in crate::cli) fn name(self, what: &str, flag: &str) -> anyhow::Result<String> {
        if matches!(self, Self::Stdin) || !io::stdin().is_terminal() {
            bail!("There is no terminal to ask for the {} at; give it with {flag}", what.to_lowercase());
        }
        let mut prompt = io::stderr().lock();
        write!(prompt, "{what}: ")?;
        prompt.flush()?;
        Ok(line(what)?.trim().to_owned())
    }
}

/// Asks at the terminal, whatever standard input is. The echo is off before the question stands there: who types at once,
/// or pastes, is not shown either.
fn at_terminal(what: &str) -> io::Result<Zeroizing<String>> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let _quiet = Quiet::new(terminal.try_clone()?)?;
    write!(terminal, "{what}: ")?;
    terminal.flush()?;
    let mut text = Zeroizing::new(String::new());
    BufReader::new(terminal).read_line(&mut text)?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that does not show what is typed, until this is dropped. The end of the line is shown.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: File) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        modes.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Now, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // A terminal that has gone away needs no echo.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

fn line(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut text);
    if read.with_context(|| format!("The {} on standard input is not text", what.to_lowercase()))? == 0 {
        bail!("Standard input ended before the {}; each stands on a line of its own", what.to_lowercase());
    }
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

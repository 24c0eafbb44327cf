//! Asking a person for what nobody else may see: at the terminal without echo, or line by line from standard input.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use anyhow::{Context as _, bail};
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
            Self::Terminal => {
                Zeroizing::new(rpassword::prompt_password(format!("{what}: ")).with_context(|| {
                    format!(
                        "There is no terminal to ask for the {} at; use --password-stdin",
                        what.to_lowercase()
                    )
                })?)
            }
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

fn line(what: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    let read = io::stdin().lock().read_line(&mut text);
    if read.with_context(|| format!("The {} on standard input is not text", what.to_lowercase()))? == 0 {
        bail!("Standard input ended before the {}; each stands on a line of its own", what.to_lowercase());
    }
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

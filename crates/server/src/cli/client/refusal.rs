//! What a server's no means, and what to do about it: one sentence each. The server's own words follow as the reason.

use serde_json::Value;

use super::{Answer, Client, TokenFrom, address::Address};
use crate::cli::output::clean;

/// The server said no, or nothing that could be understood. Exit status 1.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(in crate::cli) struct Refusal {
    what: String,
    #[source]
    because: Option<Because>,
    /// Whether the same request may do better in a while.
    pub(in crate::cli) passing: bool,
}

/// The other side's own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Because(String);

impl Refusal {
    /// With words of a command's own instead of the general ones.
    pub(in crate::cli) fn in_words(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    /// Nothing came back. A change may have been made nevertheless, unless there was no connection.
    pub(super) fn unreached(address: &Address, change: bool, why: &ureq::Error) -> Self {
        let what = match why {
            _ if is_certificate(why) => format!(
                "{address} could not prove that it is the one you mean; check the address, and that this machine \
                 trusts who signed its certificate (SSL_CERT_FILE names a file with more)"
            ),
            ureq::Error::Http(_) => {
                "Nothing was sent: the token or the code holds characters that none has; copy it again"
                    .to_owned()
            }
            ureq::Error::Protocol(_) => no_keygate(address),
            ureq::Error::Timeout(_) if change => format!(
                "{address} did not answer in time, and whether it was done is not known; look before you repeat it"
            ),
            _ => format!(
                "{address} cannot be reached; see that it runs (`keygate serve`), or name another (--url, KEYGATE_URL)"
            ),
        };
        Self { what, because: Some(Because(clean(&why.to_string()))), passing: true }
    }

    pub(super) fn answered(answer: &Answer, client: &Client) -> Self {
        let address = &client.address;
        let because = said(answer);
        let wait = answer.retry_after.as_deref().and_then(|text| text.parse::<u64>().ok());
        let wait = wait.map_or_else(|| "in a while".to_owned(), |seconds| format!("in {seconds} s"));
        let what = match answer.status {
            _ if because.is_none() => no_keygate(address),
            401 if client.token.is_none() => format!("{address} wants to know who asks; run `keygate login`"),
            401 if client.from == TokenFrom::Environment => {
                format!(
                    "{address} does not take the token in KEYGATE_TOKEN; set another, or unset it and run `keygate login`"
                )
            }
            401 => format!("{address} does not take the stored token any more; run `keygate login`"),
            403 => "Your token or your role does not allow this; use a token that may, or ask a superuser"
                .to_owned(),
            404 => {
                "There is no such thing, or none that you may see; the lists show what there is".to_owned()
            }
            429 => format!("That was too much for now; try again {wait}"),
            400 | 422 => "The server cannot do this as it is written; change what is named below".to_owned(),
            409 => "This is in the way of what is there already; look before you repeat it".to_owned(),
            503 => format!(
                "{address} cannot answer at the moment, and nothing is wrong with what you asked; try again {wait}"
            ),
            500.. => {
                format!("{address} has failed; its log says why, and it is its operator who can mend it")
            }
            _ => no_keygate(address),
        };
        let because =
            because.or_else(|| Some(format!("It answered {} without a Keygate's words", answer.status)));
        Self { what, because: because.map(Because), passing: matches!(answer.status, 429 | 500..) }
    }
}

fn no_keygate(address: &Address) -> String {
    format!("{address} answers, but not as a Keygate does; check the address (--url, KEYGATE_URL)")
}

/// A certificate that will not do comes as an I/O error too, with rustls' own inside.
fn is_certificate(why: &ureq::Error) -> bool {
    match why {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(why) => why.get_ref().is_some_and(|why| why.is::<rustls::Error>()),
        _ => false,
    }
}

/// What a Keygate says in a refusal: `msg`, or `title` on newer endpoints, and `detail`.
fn said(answer: &Answer) -> Option<String> {
    let body = answer.body.as_ref()?;
    let text = |name| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let msg = text("msg").or_else(|| text("title"))?;
    Some(clean(&match text("detail") {
        Some(detail) => format!("{msg}: {detail}"),
        None => msg.to_owned(),
    }))
}

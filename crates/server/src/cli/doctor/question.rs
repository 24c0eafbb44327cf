//! What is asked, and which answers will do.

use keygate_model::{
    Secret,
    token::{Brand, Kind},
};
use ureq::http::{HeaderName, HeaderValue, header};

use super::Probe;
use crate::{edge::Rng, ways::identity};

/// One request, and what it is to be answered.
pub(super) struct Question {
    pub(super) name: String,
    pub(super) method: &'static str,
    /// None: as it was given.
    path: Option<String>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    wanted: Wanted,
}

/// Which answers will do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// 401 or 403: somebody looked at the credential.
    Refusal,
    /// 401, 403, or 400: two headers contradict each other.
    RefusalOrOdd,
    /// Anything that is not the API's page: a path that is spelled oddly may be nowhere.
    NoPage,
    /// What a proxy says of itself that cannot ask.
    Unavailable,
}

/// Where proxies write what they were asked for: to be believed from no client.
const DIALECTS: [(&str, &str); 11] = [
    ("x-original-url", "/livez"),
    ("x-original-uri", "/livez"),
    ("x-rewrite-url", "/livez"),
    ("x-forwarded-uri", "/livez"),
    ("x-forwarded-path", "/livez"),
    ("x-envoy-original-path", "/livez"),
    ("x-original-method", "OPTIONS"),
    ("x-forwarded-method", "OPTIONS"),
    ("x-http-method-override", "OPTIONS"),
    ("x-forwarded-host", "localhost"),
    ("x-forwarded-for", "127.0.0.1"),
];

/// On the path as it was given.
pub(super) fn plain() -> anyhow::Result<Vec<Question>> {
    let forged = identity::NAMES.into_iter().map(|name| (name, HeaderValue::from_static("admin")));
    let decided = [("x-authz-status", "200"), ("x-authz-reason", "none"), ("x-authz-id", "none")];
    let decided =
        decided.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let made_up = made_up()?;
    let bearer = HeaderValue::try_from(format!("Bearer {}", made_up.to_str()?))?;
    let key = HeaderName::from_static("fastly-key");
    let mut questions = vec![
        on_the_path("without a credential", vec![], Wanted::Refusal),
        on_the_path("a made-up token in Fastly-Key", vec![(key, made_up)], Wanted::Refusal),
        on_the_path("a made-up token as Bearer", vec![(header::AUTHORIZATION, bearer)], Wanted::Refusal),
        on_the_path("with forged identity headers", forged.collect(), Wanted::Refusal),
        on_the_path("with a forged decision", decided.to_vec(), Wanted::Refusal),
        Question { method: "HEAD", ..on_the_path("HEAD without a credential", vec![], Wanted::Refusal) },
    ];
    questions.extend(DIALECTS.iter().map(|(name, value)| {
        let header = (HeaderName::from_static(name), HeaderValue::from_static(value));
        on_the_path(&format!("with {name}: {value}"), vec![header], Wanted::RefusalOrOdd)
    }));
    Ok(questions)
}

/// The same path spelled in other ways, without a credential: what the proxy takes for another, the API may not.
pub(super) fn spelled(path: &str) -> Vec<Question> {
    let bare = path.trim_start_matches('/');
    let mut spellings = vec![
        format!("//{bare}"),
        format!("/./{bare}"),
        format!("/x/../{bare}"),
        format!("/livez/../{bare}"),
        format!("/x/%2e%2e/{bare}"),
        format!("/%2e/{bare}"),
        format!("/%2f{bare}"),
        format!("/x/..%2f{bare}"),
        format!("/x%2f..%2f{bare}"),
        format!("/x/..;/{bare}"),
        format!("/;/{bare}"),
        format!("/{bare}/"),
        format!("/{bare}//"),
        format!("/{bare}/."),
        format!("/{bare}/x/.."),
        format!("/{bare};x"),
        format!("/{bare}%2f"),
        format!("/{bare}%3fx"),
        format!("/{bare}%23"),
        format!("/{bare}%20"),
        format!("/{bare}%00"),
        format!("/{bare}?x=/livez"),
        format!("/{}", bare.to_ascii_uppercase()),
    ];
    if let Some(first) = bare.bytes().next().filter(u8::is_ascii_alphanumeric) {
        spellings.push(format!("/%{first:02x}{}", &bare[1..]));
    }
    if let Some((before, last)) = bare.rsplit_once('/') {
        spellings.push(format!("/{before}%2f{last}"));
        spellings.push(format!("/{before}//{last}"));
        spellings.push(format!("/{before}/./{last}"));
    }
    spellings.retain(|spelling| spelling != path);
    let question = |spelling: String| Question {
        path: Some(spelling.clone()),
        ..on_the_path(&format!("as {spelling}"), vec![], Wanted::NoPage)
    };
    spellings.into_iter().map(question).collect()
}

/// While Keygate is away.
pub(super) fn away() -> anyhow::Result<Vec<Question>> {
    let key = HeaderName::from_static("fastly-key");
    Ok(vec![
        on_the_path("Keygate stopped, without a credential", vec![], Wanted::Unavailable),
        on_the_path("Keygate stopped, a made-up token", vec![(key, made_up()?)], Wanted::Unavailable),
    ])
}

fn on_the_path(name: &str, headers: Vec<(HeaderName, HeaderValue)>, wanted: Wanted) -> Question {
    Question { name: name.to_owned(), method: "GET", path: None, headers, wanted }
}

/// A token as it should look, and nobody's.
fn made_up() -> anyhow::Result<HeaderValue> {
    let entropy = zeroize::Zeroizing::new(Rng::System.bytes::<32>()?);
    let mut value =
        HeaderValue::try_from(Secret::mint(&Brand::default(), Kind::User, &entropy).reveal().as_str())?;
    value.set_sensitive(true);
    Ok(value)
}

impl Question {
    pub(super) fn path_or(&self, probe: &Probe) -> String {
        self.path.clone().unwrap_or_else(|| probe.path().to_owned())
    }

    /// Whether no answer is as good as a refusal: a proxy may hang up on what is spelled oddly, or when it cannot ask.
    pub(super) fn may_be_silent(&self) -> bool {
        matches!(self.wanted, Wanted::NoPage | Wanted::Unavailable)
    }

    /// What is wrong with an answer, and how to mend it.
    pub(super) fn wrong(&self, status: u16) -> Option<(&'static str, &'static str)> {
        const ASK: &str = "have the proxy ask Keygate about every request, in the outermost block; deploy/ has configurations";
        const SPELLING: &str = "protect everything, not single paths, and hand the path on as it was decided about; deploy/ has configurations";
        const CLOSED: &str = "the proxy must refuse when it cannot ask: no error_page that leads to the API, no \
                              failure_mode_allow, no fallback upstream";
        match (self.wanted, status) {
            (Wanted::Refusal | Wanted::RefusalOrOdd, 401 | 403)
            | (Wanted::RefusalOrOdd, 400)
            | (Wanted::Unavailable, 403 | 500..=599) => None,
            (Wanted::NoPage, 300..) => None,
            (Wanted::NoPage, _) => Some(("let through in this spelling", SPELLING)),
            (Wanted::Unavailable, 200..=299) => Some(("let through without Keygate: it fails open", CLOSED)),
            (Wanted::Unavailable, _) => Some((
                "somebody still decides, or another than Keygate",
                "stop every server of Keygate that the proxy asks, and keep no answers of it",
            )),
            (_, 200..=299) => Some(("let through", ASK)),
            (_, 300..=399) => {
                Some(("redirected", "give the address that it leads to, if that is the protected one"))
            }
            (_, 500..) => Some((
                "refused, but because Keygate was not asked",
                "is Keygate running, and does the proxy reach it? With Keygate stopped: --stopped",
            )),
            _ => Some(("answered by something behind the proxy, or the path is not there", ASK)),
        }
    }
}

//! Asks from HTTP: what stands in a request, brought into an [`Ask`] that cannot be ambiguous.
//!
//! Everything that stands before an API builds its asks here: the ways in for proxies, Keygate's own proxy, the `tower`
//! layer. So a request is read in one way, whoever carries it.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use keygate_model::{
    Ask, Deny, Host, Method, Path, Position,
    token::{Brand, Presented, is_like_ours},
};

use crate::Gate;

/// What somebody asks about: as it stood in the request that reached the edge.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The host, as `Host` or `:authority` had it.
    pub host: &'a str,
    /// The method.
    pub method: &'a str,
    /// The path, and the query if there is one.
    pub target: &'a str,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
}

/// Names the position that whoever decides must have applied.
const MIN_POSITION: HeaderName = HeaderName::from_static("keygate-min-position");

/// Digits of a position at most: as many nines are one still.
const DIGITS_MAX: usize = 18;

/// Headers that ask a backend for another method than the one that was decided about.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// Reads a request. A credential that is missing or cannot be one is no error here: what is public needs none.
///
/// # Errors
/// Why it cannot be put to the gate, whoever sent it: [`Deny::AmbiguousHost`], [`Deny::NoRoute`] for a method that no
/// policy can name, [`Deny::MethodOverride`], [`Deny::InUrl`] for a secret in the query.
pub fn ask<'a>(
    gate: &Gate,
    brand: &Brand,
    target: &Target<'a>,
    headers: &'a HeaderMap,
) -> Result<Ask<'a>, Deny> {
    let (path, query) = target.target.split_once('?').unwrap_or((target.target, ""));
    let host = Host::parse(target.host).map_err(|_| Deny::AmbiguousHost)?;
    let method = Method::parse(target.method).ok_or(Deny::NoRoute)?;
    if overrides_method(headers) {
        return Err(Deny::MethodOverride);
    }
    if holds_secret(query, brand) {
        return Err(Deny::InUrl);
    }
    let at_least = at_least(headers)?;
    let secret = credential(headers)
        .and_then(|secret| Presented::parse(secret, brand, gate.foreign()).map_err(Deny::Malformed));
    Ok(Ask { host: Some(host), method, path: Path::new(path), secret, at_least })
}

/// What whoever decides about this request must have applied: a number as an answer's `Keygate-Position` has it, nothing
/// else and once.
///
/// # Errors
/// [`Deny::PositionInvalid`].
pub fn at_least(headers: &HeaderMap) -> Result<Position, Deny> {
    let mut said = headers.get_all(&MIN_POSITION).iter();
    let Some(value) = said.next() else { return Ok(Position(0)) };
    let digits = value.as_bytes();
    let is_number = (1..=DIGITS_MAX).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    if !is_number || said.next().is_some() {
        return Err(Deny::PositionInvalid);
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    Ok(Position(number))
}

/// Whether a header asks the API for another method than the one that is decided about.
#[must_use]
pub fn overrides_method(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| is_method_override(name.as_str()))
}

/// Whether a header of this name does, also under a name that the API may take for one of those
/// (`X_HTTP_Method_Override`: to a CGI they are the same).
#[must_use]
pub fn is_method_override(name: &str) -> bool {
    name.starts_with('x')
        && (METHOD_OVERRIDES.contains(&name)
            || name.contains('_') && METHOD_OVERRIDES.contains(&name.replace('_', "-").as_str()))
}

/// The status of a refusal ahead of an API.
#[must_use]
pub fn status(deny: Deny) -> StatusCode {
    match deny {
        Deny::Missing
        | Deny::Scheme
        | Deny::Malformed(_)
        | Deny::Unknown
        | Deny::Expired { .. }
        | Deny::OwnerDisabled => StatusCode::UNAUTHORIZED,
        Deny::Multiple
        | Deny::InUrl
        | Deny::AmbiguousPath
        | Deny::AmbiguousHost
        | Deny::MethodOverride
        | Deny::ConflictingHeaders
        | Deny::PositionInvalid => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    }
}

/// The one secret that these headers show, as it stands: nothing is trimmed or repaired.
///
/// # Errors
/// [`Deny::Missing`], [`Deny::Multiple`], or [`Deny::Scheme`] for another scheme than `Bearer`.
pub fn credential(headers: &HeaderMap) -> Result<&[u8], Deny> {
    let mut keys = headers.get_all("fastly-key").iter();
    let key = keys.next().map(HeaderValue::as_bytes);
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = authorizations.next().map(HeaderValue::as_bytes);
    if keys.next().is_some() || authorizations.next().is_some() {
        return Err(Deny::Multiple);
    }
    let bearer = match authorization {
        None => Err(Deny::Missing),
        Some(value) => strip_scheme(value, b"bearer ").ok_or(Deny::Scheme),
    };
    let secret = match (key, bearer) {
        (Some(_), Ok(_)) => return Err(Deny::Multiple),
        // Fastly's Python client adds an empty `Basic` to every request.
        (Some(key), Err(_)) => key,
        (None, bearer) => bearer?,
    };
    match secret {
        blank if blank.iter().all(u8::is_ascii_whitespace) => Err(Deny::Missing),
        list if list.contains(&b',') => Err(Deny::Multiple),
        secret => Ok(secret),
    }
}

/// What follows a scheme, which is compared without case (RFC 9110 §11.1).
fn strip_scheme<'v>(value: &'v [u8], scheme: &[u8]) -> Option<&'v [u8]> {
    let (start, rest) = value.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// Whether something like a secret of ours stands in a query. What an API calls its parameters is its own business.
#[must_use]
pub fn holds_secret(query: &str, brand: &Brand) -> bool {
    let ours = |text: &str| is_like_ours(text.as_bytes(), brand);
    !query.is_empty()
        && form_urlencoded::parse(query.as_bytes()).any(|(name, value)| ours(&name) || ours(&value))
}

/// What a client calls itself, as far as it may be kept with the token's last use: not if a secret got into it.
#[must_use]
pub fn user_agent<'h>(headers: &'h HeaderMap, brand: &Brand) -> &'h str {
    let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A browser's name is longer than a secret; looking for one costs next to nothing.
    let holds_secret =
        name.match_indices(brand.as_str()).any(|(at, _)| is_like_ours(&name.as_bytes()[at..], brand));
    if holds_secret { "" } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pairs: &[(&'static str, &'static str)]) -> Result<Vec<u8>, Deny> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        credential(&headers).map(<[u8]>::to_vec)
    }

    #[test]
    fn a_position_is_a_plain_number_and_stands_there_once() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(MIN_POSITION, HeaderValue::from_static(value));
            }
            at_least(&headers)
        };
        assert_eq!(read(&[]), Ok(Position(0)));
        for (text, position) in
            [("0", 0), ("17", 17), ("007", 7), ("999999999999999999", 999_999_999_999_999_999)]
        {
            assert_eq!(read(&[text]), Ok(Position(position)), "{text}");
        }
        for odd in
            ["", " ", "-1", "+1", "1.0", "0x1", "1e3", "1,2", "1 ", "\t1", "NaN", "1000000000000000000"]
        {
            assert_eq!(read(&[odd]), Err(Deny::PositionInvalid), "{odd:?}");
        }
        assert_eq!(read(&["1", "1"]), Err(Deny::PositionInvalid));
    }

    #[test]
    fn exactly_one_credential() {
        assert_eq!(found(&[("fastly-key", "a")]), Ok(b"a".to_vec()));
        assert_eq!(found(&[("authorization", "Bearer a")]), Ok(b"a".to_vec()));
        assert_eq!(found(&[("authorization", "bEARER a")]), Ok(b"a".to_vec()));
        assert_eq!(found(&[]), Err(Deny::Missing));
        assert_eq!(found(&[("fastly-key", "")]), Err(Deny::Missing));
        assert_eq!(found(&[("fastly-key", " \t")]), Err(Deny::Missing));
        assert_eq!(found(&[("fastly-key", "a"), ("fastly-key", "a")]), Err(Deny::Multiple));
        assert_eq!(found(&[("fastly-key", "a, b")]), Err(Deny::Multiple));
        assert_eq!(found(&[("fastly-key", "a"), ("authorization", "Bearer a")]), Err(Deny::Multiple));
        assert_eq!(
            found(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]),
            Err(Deny::Multiple)
        );
        assert_eq!(found(&[("authorization", "Basic Og==")]), Err(Deny::Scheme));
        assert_eq!(found(&[("fastly-key", "a"), ("authorization", "Basic Og==")]), Ok(b"a".to_vec()));
        assert_eq!(found(&[("authorization", "Bearer  a")]), Ok(b" a".to_vec()), "never trimmed");
    }
}

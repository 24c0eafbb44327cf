//! Finds secrets in whatever bytes, however they were written down.

use std::collections::{BTreeSet, HashMap};

use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, Encoding, HEXLOWER, HEXUPPER};

/// Any this many characters of a token's random part are a find.
const PART: usize = 16;

/// What needles are looked up by.
const START: usize = 6;

/// The secrets to look for.
#[derive(Default)]
pub(crate) struct Scanner {
    needles: Vec<(String, Vec<u8>)>,
    by_start: HashMap<[u8; START], Vec<usize>>,
}

impl Scanner {
    /// Looks for a secret in every way that it may have been written.
    pub(crate) fn add(&mut self, name: &str, secret: &[u8]) {
        self.needle(format!("{name} as it is"), secret);
        for (how, encoding) in [("lower hex", HEXLOWER), ("upper hex", HEXUPPER)] {
            self.needle(format!("{name} in {how}"), encoding.encode(secret).as_bytes());
        }
        for (how, encoding, bits) in [
            ("base 64", &BASE64_NOPAD, 6),
            ("URL's base 64", &BASE64URL_NOPAD, 6),
            ("base 32", &BASE32_NOPAD, 5),
        ] {
            for before in 0..bits / 2 {
                self.needle(format!("{name} in {how}"), within(encoding, bits, before, secret).as_bytes());
            }
        }
        let percent: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
        self.needle(format!("{name} in percents"), percent.as_bytes());
        let form: String = form_urlencoded::byte_serialize(secret).collect();
        self.needle(format!("{name} as a form"), form.as_bytes());
        let list: Vec<_> = secret.iter().map(u8::to_string).collect();
        self.needle(format!("{name} as a list of bytes"), list.join(", ").as_bytes());
        if let Ok(text) = std::str::from_utf8(secret) {
            let json = serde_json::Value::from(text).to_string();
            self.needle(format!("{name} in JSON"), &json.as_bytes()[1..json.len() - 1]);
            self.needle(format!("{name} for debugging"), text.escape_debug().to_string().as_bytes());
            self.needle(format!("{name} in lower case"), text.to_lowercase().as_bytes());
        }
    }

    /// Looks for a token's secret, and for every part of it.
    pub(crate) fn add_token(&mut self, name: &str, secret: &str) {
        self.add(name, secret.as_bytes());
        let random = secret.split_once('_').map_or(secret, |(_, random)| random).as_bytes();
        for part in random.windows(PART) {
            self.needle(format!("a part of {name}"), part);
        }
    }

    /// Looks for a recovery code, with its dashes and without.
    pub(crate) fn add_recovery_code(&mut self, name: &str, code: &str) {
        self.add(name, code.as_bytes());
        self.add(&format!("{name} without dashes"), code.replace('-', "").as_bytes());
    }

    fn needle(&mut self, name: String, bytes: &[u8]) {
        if self.needles.iter().any(|(_, known)| known == bytes) {
            return;
        }
        let start = *bytes.first_chunk().expect("too short to be told from chance");
        self.by_start.entry(start).or_default().push(self.needles.len());
        self.needles.push((name, bytes.to_vec()));
    }

    /// The names of the secrets that these bytes hold.
    pub(crate) fn find(&self, bytes: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (place, window) in bytes.windows(START).enumerate() {
            let Some(candidates) = self.by_start.get(window) else { continue };
            for (name, needle) in candidates.iter().map(|number| &self.needles[*number]) {
                if bytes[place..].starts_with(needle) {
                    found.insert(name.as_str());
                }
            }
        }
        found
    }
}

/// The letters of `secret` in an encoding, as they are behind `before` bytes of something else.
fn within(encoding: &Encoding, bits: usize, before: usize, secret: &[u8]) -> String {
    let text = encoding.encode(&[&vec![0; before][..], secret].concat());
    let (start, end) = ((before * 8).div_ceil(bits), (before + secret.len()) * 8 / bits);
    text[start..end].to_owned()
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let mut scanner = Scanner::default();
    let secret = "Canary-password-\"7f3a\"&more";
    scanner.add("password", secret.as_bytes());
    scanner.add("seed", &[0xA7, 3, 0x99, 0x41, 0, 0xFE, 0x22, 0x10, 0x77, 0x5C]);
    scanner.add_token("token", "kgu_0123456789abcdefghijABCDEFGHIJ0123456789xyzABCDEF");
    let log =
        |value: &str| format!("{{\"level\":\"TRACE\",\"fields\":{{\"value\":\"{value}\"}}}}\n").into_bytes();
    assert!(scanner.find(&log("nothing of it: Canary-passwort, kgu_, 0123456789abcde")).is_empty());
    for written in [
        secret.to_owned(),
        serde_json::Value::from(secret).to_string(),
        format!("{secret:?}"),
        HEXLOWER.encode(secret.as_bytes()),
        BASE64_NOPAD.encode(format!("ada:{secret}").as_bytes()),
        BASE64_NOPAD.encode(format!("bo:{secret}!").as_bytes()),
        BASE32_NOPAD.encode(secret.as_bytes()),
        form_urlencoded::byte_serialize(secret.as_bytes()).collect(),
        format!("{:?}", secret.as_bytes()),
        "\u{0}ghijABCDEFGHIJ01\u{0}".to_owned(),
    ] {
        assert!(!scanner.find(&log(&written)).is_empty(), "{written}");
    }
    assert!(
        !scanner
            .find(&[&[1, 2, 3][..], &[0xA7, 3, 0x99, 0x41, 0, 0xFE, 0x22, 0x10, 0x77, 0x5C]].concat())
            .is_empty()
    );
}

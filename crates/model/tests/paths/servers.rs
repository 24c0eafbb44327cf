//! What servers make of a path before they look for what it names.

pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) read: fn(&str) -> String,
    /// What it reads that others leave.
    pub(crate) reads: &'static [&'static str],
    pub(crate) makes_small: bool,
}

const fn server(name: &'static str, read: fn(&str) -> String, reads: &'static [&'static str]) -> Server {
    Server { name, read, reads, makes_small: false }
}

/// The eight of K03, and two that are two of them at once, as IIS is.
pub(crate) const SERVERS: [Server; 10] = [
    server("identity", |path| path.to_owned(), &[]),
    server("dots", dots, &[]),
    server("merged slashes", merged, &[]),
    server("decoded", decoded, &["%2f", ";", "%25"]),
    server("decoded twice", |path| decoded(&decoded(path)), &["%2f", ";", "%25"]),
    Server { name: "small", read: |path| path.to_lowercase(), reads: &[], makes_small: true },
    server("without parameters", without_parameters, &[";"]),
    server("backslashes", |path| path.replace('\\', "/"), &[]),
    Server {
        name: "decoded, small",
        read: |path| decoded(path).to_lowercase(),
        reads: &["%2f", ";", "%25"],
        makes_small: true,
    },
    server("decoded, dots", |path| dots(&decoded(path)), &["%2f", ";", "%25"]),
];

/// RFC 3986 §5.2.4.
fn dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let parts: Vec<_> = path.split('/').skip(1).collect();
    for (nth, part) in parts.iter().enumerate() {
        let is_last = nth + 1 == parts.len();
        match *part {
            ".." => drop(kept.pop()),
            "." => {}
            part => {
                kept.push(part);
                continue;
            }
        }
        if is_last {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

fn merged(path: &str) -> String {
    let mut merged = path.to_owned();
    while merged.contains("//") {
        merged = merged.replace("//", "/");
    }
    merged
}

pub(crate) fn decoded(path: &str) -> String {
    let (bytes, mut read, mut at) = (path.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let escaped = path.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                read.push(byte);
                at += 3;
            }
            None => {
                read.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

fn without_parameters(path: &str) -> String {
    path.split('/').map(|part| part.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
}

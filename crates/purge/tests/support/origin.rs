//! An origin for tests: an HTTP server that says which visit to a page this is.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Serves the pages it was given, each with the number of the visit as its body: a page that a cache still has keeps
/// its number, one that was fetched anew has the next. Lives until the test process ends.
pub(crate) struct Origin {
    address: SocketAddr,
    pages: Arc<Mutex<HashMap<String, Page>>>,
}

#[derive(Default)]
struct Page {
    headers: String,
    visits: u32,
}

impl Origin {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port for the origin");
        let address = listener.local_addr().expect("a bound listener has an address");
        let pages = Arc::new(Mutex::new(HashMap::new()));
        let shared = Arc::clone(&pages);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let pages = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &pages));
            }
        });
        Self { address, pages }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Publishes `host` + `path`, for instance `"shop.example/red"`, cacheable for an hour and then a minute stale.
    /// `headers` are whole lines that end in `\r\n`. A page with an ETag answers 304 where it can, with
    /// the number of the visit in a header `Visit` and without the rest of its headers.
    pub(crate) fn page(&self, url: &str, headers: &str) {
        let page = Page { headers: headers.to_owned(), visits: 0 };
        self.pages.lock().expect("pages").insert(url.to_owned(), page);
    }
}

/// Answers requests on one connection until the other side closes it.
fn serve(stream: TcpStream, pages: &Mutex<HashMap<String, Page>>) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut writer = stream;
    while let Some(head) = read_head(&mut reader) {
        if writer.write_all(answer(&head, pages).as_bytes()).is_err() {
            return;
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(head)
}

fn answer(head: &str, pages: &Mutex<HashMap<String, Page>>) -> String {
    let path = head.split(' ').nth(1).unwrap_or_default();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    let url = format!("{}{path}", header("host").unwrap_or_default());
    let mut pages = pages.lock().expect("pages");
    let Some(page) = pages.get_mut(&url) else {
        return "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned();
    };
    page.visits += 1;
    if header("if-none-match").is_some() {
        return format!("HTTP/1.1 304 Not Modified\r\nVisit: {}\r\n\r\n", page.visits);
    }
    let (body, headers) = (page.visits.to_string(), &page.headers);
    format!(
        "HTTP/1.1 200 OK\r\nCache-Control: max-age=3600, stale-while-revalidate=60\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

//! `keygate doctor` against a real nginx: one that asks Keygate about everything, and three that do not.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    house::Ran,
    process::{Home, Server},
};

/// Asks Keygate about everything.
const RIGHT: &str = "location / { auth_request /_keygate; proxy_pass http://ORIGIN; }";
/// Asks about nothing.
const MISSING: &str = "location / { proxy_pass http://ORIGIN; }";
/// Asks about one path alone, as it takes it.
const ONE_PATH: &str = "location /orders { auth_request /_keygate; proxy_pass http://ORIGIN; }\n\
                        location / { proxy_pass http://ORIGIN; }";
/// Lets everything through when it cannot ask.
const OPEN: &str = "location / { auth_request /_keygate; error_page 500 = @open; proxy_pass http://ORIGIN; }\n\
                    location @open { proxy_pass http://ORIGIN; }";

/// A Keygate, an API that says 200 to everything, and an nginx between.
struct Edge {
    home: Home,
    gate: Option<Server>,
    nginx: Child,
    address: SocketAddr,
}

impl Edge {
    fn new(locations: &str) -> Self {
        let home = Home::new();
        let gate = home.serve();
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let (dir, at) = (home.path().display(), gate.address);
        let locations = locations.replace("ORIGIN", &origin().to_string());
        let config = format!(
            "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.log;\nevents {{}}\nhttp {{\n\
             access_log off; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;\n\
             fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;\n\
             server {{\nlisten {address};\n{locations}\n\
             location = /_keygate {{\ninternal; proxy_pass http://{at}/authz/auth-request;\n\
             proxy_pass_request_body off; proxy_set_header Content-Length \"\";\n\
             proxy_set_header X-Original-Method $request_method;\n\
             proxy_set_header X-Original-URL http://shop.test$request_uri;\n\
             proxy_set_header X-Forwarded-For $remote_addr;\n}}\n}}\n}}\n"
        );
        let file = home.path().join("nginx.conf");
        fs::write(&file, config).expect("a configuration");
        let mut nginx = Command::new(nginx());
        nginx.arg("-p").arg(home.path()).arg("-c").arg(&file).stderr(Stdio::null());
        let nginx = nginx.spawn().expect("nginx starts: install Debian's package nginx");
        let edge = Self { home, gate: Some(gate), nginx, address };
        edge.wait();
        edge
    }

    fn wait(&self) {
        for _ in 0..200 {
            if TcpStream::connect(self.address).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("nginx does not listen: {:?}", fs::read_to_string(self.home.path().join("nginx.log")));
    }

    /// What the doctor says, as JSON, and its status.
    fn examined(&self, more: &[&str]) -> (Option<i32>, Value) {
        let ran = self.doctor(&[&["--json"], more].concat());
        (ran.status, serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{} {}", ran.out, ran.err)))
    }

    fn doctor(&self, more: &[&str]) -> Ran {
        let url = format!("http://{}/orders/1", self.address);
        Ran::of(self.home.command(&[&["doctor", "--probe", &url], more].concat()), "")
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.nginx.kill();
        let _ = self.nginx.wait();
    }
}

/// Where Debian has it, whatever the path says.
fn nginx() -> PathBuf {
    let there = PathBuf::from("/usr/sbin/nginx");
    if there.exists() { there } else { "nginx".into() }
}

/// An API that says 200 to everything.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    address
}

/// The questions that were answered wrongly.
fn wrong(said: &Value) -> Vec<&str> {
    let checks = said["checks"].as_array().expect("checks");
    let wrong = checks.iter().filter(|check| check["passes"] == false);
    wrong.map(|check| check["check"].as_str().expect("a name")).collect()
}

#[test]
fn an_edge_that_asks_about_everything_is_closed_with_keygate_and_without() {
    let mut edge = Edge::new(RIGHT);
    let (status, said) = edge.examined(&[]);
    assert_eq!((status, wrong(&said)), (Some(0), vec![]), "{said:#}");
    assert_eq!((&said["passes"], &said["with_keygate_stopped"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(said["checks"].as_array().expect("checks").len() > 40);
    let told = edge.doctor(&[]);
    assert!(told.ok().contains("ok  401     without a credential\n"), "{}", told.out);
    assert!(told.err.contains("--stopped"), "{}", told.err);

    // Not stopped: somebody still decides, and that is told.
    let (status, said) = edge.examined(&["--stopped"]);
    assert_eq!((status, wrong(&said).len()), (Some(1), 2), "{said:#}");
    drop(edge.gate.take());
    let (status, said) = edge.examined(&["--stopped"]);
    assert_eq!((status, wrong(&said)), (Some(0), vec![]), "{said:#}");
    assert_eq!(said["with_keygate_stopped"], true);
    // And with Keygate gone nobody takes a 500 for a refusal of what was shown.
    let (status, said) = edge.examined(&[]);
    assert_eq!(status, Some(1), "{said:#}");
}

#[test]
fn an_edge_that_does_not_ask_is_found() {
    let edge = Edge::new(MISSING);
    let (status, said) = edge.examined(&[]);
    let checks = said["checks"].as_array().expect("checks").len();
    // nginx itself refuses some spellings.
    assert!(status == Some(1) && wrong(&said).len() > checks - 5, "{said:#}");
    let told = edge.doctor(&[]);
    assert_eq!(told.status, Some(1));
    assert!(told.out.contains("FAIL  200     without a credential"), "{}", told.out);
    assert!(told.err.contains("To mend it: have the proxy ask Keygate about every request"), "{}", told.err);
}

#[test]
fn a_path_that_is_protected_in_one_spelling_alone_is_found() {
    let edge = Edge::new(ONE_PATH);
    let (status, said) = edge.examined(&[]);
    let wrong = wrong(&said);
    assert_eq!(status, Some(1), "{said:#}");
    assert!(wrong.contains(&"as /ORDERS/1") && wrong.contains(&"as /;/orders/1"), "{wrong:?}");
    assert!(wrong.iter().all(|name| name.starts_with("as ")), "as it is given it is protected: {wrong:?}");
}

#[test]
fn an_edge_that_fails_open_is_found_once_keygate_is_stopped() {
    let mut edge = Edge::new(OPEN);
    let (status, said) = edge.examined(&[]);
    assert_eq!((status, wrong(&said)), (Some(0), vec![]), "while Keygate is there nothing shows: {said:#}");
    drop(edge.gate.take());
    let (status, said) = edge.examined(&["--stopped"]);
    assert_eq!((status, wrong(&said).len()), (Some(1), 2), "{said:#}");
    assert!(said.to_string().contains("it fails open"), "{said:#}");
}

#[test]
fn a_question_that_cannot_be_put_is_no_finding() {
    let home = Home::new();
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    for url in
        [format!("http://{nobody}/orders"), "shop.test/orders".to_owned(), "http://a:b@shop.test/".to_owned()]
    {
        let ran = Ran::of(home.command(&["doctor", "--probe", &url]), "");
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""), "{url}: {}", ran.err);
    }
}

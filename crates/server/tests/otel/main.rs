//! Traces, as a collector gets them from the real binary.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[test]
fn a_request_is_a_span_and_says_nothing_of_whom() {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let endpoint = format!("http://{}", collector.local_addr().expect("an address"));
    let (sent, got) = mpsc::channel();
    thread::spawn(move || {
        for stream in collector.incoming().map_while(Result::ok) {
            let _ = sent.send(request(stream));
        }
    });

    let dir = std::env::temp_dir().join(format!("keygate-otel-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let mut server = Command::new(env!("CARGO_BIN_EXE_keygate"));
    server.env_clear().env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).current_dir(&dir);
    server.args(["serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped());
    let mut server = server.spawn().expect("the server starts");
    let mut log = BufReader::new(server.stderr.take().expect("its log")).lines().map_while(Result::ok);
    let line = log.find(|line| line.contains("Keygate serves")).expect("it serves");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let address = line["fields"]["address"].as_str().expect("an address");
    thread::spawn(move || log.for_each(drop));

    let mut stream = TcpStream::connect(address).expect("the server listens");
    let ask = format!(
        "GET /tokens/self?q=secret-query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nFastly-Key: kgu_secretkey\r\n\
         traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");

    // Stopped, it sends what waits.
    let stopped = Command::new("kill").arg(server.id().to_string()).status();
    assert!(stopped.expect("kill runs").success());
    assert!(server.wait().expect("its end").success());
    let told = got.recv_timeout(Duration::from_secs(20)).expect("a trace");
    assert!(told.starts_with("POST /v1/traces "), "{told}");
    for word in
        ["\"GET /tokens/self\"", TRACE, "b7ad6b7169203331", "\"keygate\"", "http.response.status_code", "401"]
    {
        assert!(told.contains(word), "{word}: {told}");
    }
    for word in ["secret-query", "secretkey", "127.0.0.1:0/"] {
        assert!(!told.contains(word), "{word}: {told}");
    }
    std::fs::remove_dir_all(&dir).expect("removed");
}

/// One request, which is answered with an empty success.
fn request(mut stream: TcpStream) -> String {
    let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
    let (mut text, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
    text + &String::from_utf8_lossy(&body)
}

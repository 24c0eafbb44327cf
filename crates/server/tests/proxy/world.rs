//! An upstream that writes down what it reads, a proxy before it, and clients of either.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderValue, Response, request::Parts},
};
use keygate_server::proxy::{Proxy, Timeouts, serve};
use tokio::{
    io::BufReader,
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use crate::wire::{self, Broken, Message, Reader};

/// No test takes longer.
pub(crate) const LONGEST: Duration = Duration::from_secs(60);

/// Ends a test that waits for what never comes.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONGEST, future).await.expect("this took too long")
}

/// An upstream, its tasks ended with it.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Message>>>,
    /// How many connections there were.
    pub(crate) connections: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// One that answers each request on its own, as `answer` has it.
    pub(crate) async fn answering(answer: impl Fn(&Message) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let noted = Arc::clone(&seen);
        let mut upstream = Self::scripted(move |mut reader| {
            let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
            async move {
                while let Ok(Some(request)) = wire::request(&mut reader).await {
                    let bytes = answer(&request);
                    noted.lock().unwrap().push(request);
                    wire::write(reader.get_mut(), bytes).await;
                }
            }
        })
        .await;
        upstream.seen = seen;
        upstream
    }

    /// One that does with each connection as `script` has it.
    pub(crate) async fn scripted<F>(script: impl Fn(Reader) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, connections) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(0)));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                *counted.lock().unwrap() += 1;
                tokio::spawn(script(BufReader::with_capacity(64 * 1024, stream)));
            }
        });
        Self { address, seen: Arc::default(), connections, task }
    }

    /// What has been read since the last time.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A proxy, told to stop with [`Served::stop`], and cut when dropped.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) async fn before(upstream: SocketAddr) -> Self {
        Self::start(to(upstream)).await
    }

    /// With the guard of these tests: it wants no token, refuses `/refused`, and says who asks.
    pub(crate) async fn start(proxy: Proxy) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, proxy, guard, async {
            let _ = stopped.await;
        }));
        Self { address, stop: Some(stop), task: Some(task) }
    }

    /// Says stop. The returned task ends when everything has.
    pub(crate) fn stop(&mut self) -> JoinHandle<()> {
        self.stop.take().unwrap().send(()).unwrap();
        self.task.take().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

pub(crate) fn to(upstream: SocketAddr) -> Proxy {
    Proxy::to(format!("http://{upstream}").parse().unwrap())
}

/// Timeouts of a second each, for those that are waited for.
pub(crate) fn impatient() -> Timeouts {
    Timeouts {
        connect_seconds: 1,
        answer_seconds: 1,
        idle_seconds: 1,
        head_seconds: 1,
        quiet_seconds: 3,
        kept_seconds: 1,
        tunnel_seconds: 1,
        drain_seconds: 2,
    }
}

fn guard(parts: &mut Parts, from: SocketAddr) -> Result<(), Box<Response<Body>>> {
    if parts.uri.path() == "/refused" {
        let mut refusal = Response::new(Body::from("no"));
        *refusal.status_mut() = axum::http::StatusCode::FORBIDDEN;
        return Err(Box::new(refusal));
    }
    if parts.headers.contains_key("fastly-key") {
        parts.headers.remove("fastly-key");
        let from = HeaderValue::try_from(from.ip().to_string()).unwrap();
        parts.headers.insert("x-auth-subject", from);
    }
    Ok(())
}

/// A client on a connection of its own.
pub(crate) struct Client(pub(crate) Reader);

impl Client {
    pub(crate) async fn of(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::with_capacity(64 * 1024, stream))
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        wire::write(self.0.get_mut(), bytes).await;
    }

    pub(crate) async fn answer(&mut self) -> Result<Message, Broken> {
        wire::answer(&mut self.0, "GET").await
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> Result<Message, Broken> {
        let method = std::str::from_utf8(bytes.split(|byte| *byte == b' ').next().unwrap()).unwrap();
        self.send(bytes).await;
        wire::answer(&mut self.0, method).await
    }

    /// Whether the other side closes, rather than waits.
    pub(crate) async fn is_closed_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, wire::rest(&mut self.0)).await.is_ok()
    }
}

pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

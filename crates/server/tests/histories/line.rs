//! A connection that is kept from one request to the next, as a proxy keeps its own.

use std::{
    io::{BufRead as _, BufReader, Error, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;

/// How long an answer may take: longer than anybody here waits for a lease.
const ANSWER_MAX: Duration = Duration::from_secs(45);

/// Where something serves.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What is read from, and what is written to.
type Ends = (BufReader<Box<dyn Read + Send>>, Box<dyn Write + Send>);

/// To one place. It is opened when it is first needed, and again after it broke.
pub(crate) struct Line {
    place: Place,
    open: Option<Ends>,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) position: Option<i64>,
    pub(crate) body: String,
}

impl Line {
    pub(crate) fn to(place: Place) -> Self {
        Self { place, open: None }
    }

    /// Asks once. An error: nobody knows what became of it.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Reply> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: here\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let (mut reader, mut writer) = match self.open.take() {
            Some(open) => open,
            None => self.place.open()?,
        };
        writer.write_all(request.as_bytes())?;
        let (reply, goes_on) = Reply::read(&mut reader)?;
        self.open = goes_on.then_some((reader, writer));
        Ok(reply)
    }
}

impl Place {
    fn open(&self) -> Result<Ends> {
        match self {
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                Ok((BufReader::new(Box::new(stream.try_clone()?)), Box::new(stream)))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                Ok((BufReader::new(Box::new(stream.try_clone()?)), Box::new(stream)))
            }
        }
    }
}

impl Reply {
    /// Reads one, and whether another can follow on the same connection.
    fn read(from: &mut BufReader<Box<dyn Read + Send>>) -> Result<(Self, bool)> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let broken = || Error::other("the connection broke");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
        let (mut len, mut position, mut goes_on) = (0, None, true);
        loop {
            line.clear();
            if from.read_line(&mut line)? == 0 {
                return Err(broken());
            }
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => len = value.trim().parse().map_err(|_| broken())?,
                "keygate-position" => position = value.trim().parse().ok(),
                "connection" => goes_on = !value.trim().eq_ignore_ascii_case("close"),
                "transfer-encoding" => return Err(Error::other("answers here have a length")),
                _ => {}
            }
        }
        let mut body = vec![0; len];
        from.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(|_| broken())?;
        Ok((Self { status, position, body }, goes_on))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The body of an answer that must be a success.
    pub(crate) fn done(&self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.json()
    }

    /// A name in the body.
    pub(crate) fn text(&self, name: &str) -> String {
        self.done()[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}

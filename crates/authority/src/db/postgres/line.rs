//! The line to a server. What needs no answer yet is said with the next question, so that one wait serves for all of it:
//! a server is far.

use std::{
    cell::RefCell,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::Runtime,
};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, Socket, error::Severity};

/// How many answers are owed at most.
const OWED_MAX: usize = 64;

/// What the server has said by itself since the last look: warnings, one of which tells that a commit may not be safe.
type Warnings = Arc<Mutex<Vec<String>>>;

/// An answer that was not waited for.
type Owed = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// It. Nothing moves on it but while somebody waits for an answer.
pub(super) struct Line {
    client: Arc<Client>,
    owed: RefCell<Vec<Owed>>,
    warnings: Warnings,
    runtime: Runtime,
}

impl Line {
    /// A line that `connect` makes on this runtime, whose only work it is.
    pub(super) fn to<T>(
        runtime: Runtime,
        connect: impl Future<Output = Result<(Client, Connection<Socket, T>), Error>>,
    ) -> Result<Self, Error>
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (client, connection) = runtime.block_on(connect)?;
        let warnings = Warnings::default();
        runtime.spawn(moving(connection, Arc::clone(&warnings)));
        Ok(Self { client: Arc::new(client), owed: RefCell::default(), warnings, runtime })
    }

    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Asks, and waits: for what is owed, and then for this. The first error is the answer to all of it.
    pub(super) fn ask<T>(&self, question: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.runtime.block_on(async {
            let mut question = pin!(question);
            // Said before anything is waited for.
            let early = poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
            let owed = self.owed.take();
            for answer in owed {
                answer.await?;
            }
            match early {
                Poll::Ready(answer) => answer,
                Poll::Pending => question.await,
            }
        })
    }

    /// Says something whose answer is owed from then on.
    pub(super) fn say(
        &self,
        what: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), Error> {
        let mut what: Owed = Box::pin(what);
        // Asked for the first time it says what it has to say: the order is that of the calls.
        let early = self.runtime.block_on(poll_fn(|cx| Poll::Ready(what.as_mut().poll(cx))));
        match early {
            Poll::Ready(answer) => answer?,
            Poll::Pending => self.owed.borrow_mut().push(what),
        }
        if self.owed.borrow().len() < OWED_MAX { Ok(()) } else { self.settle() }
    }

    /// Waits for what is owed.
    pub(super) fn settle(&self) -> Result<(), Error> {
        if self.owed.borrow().is_empty() { Ok(()) } else { self.ask(async { Ok(()) }) }
    }

    /// Whatever is owed is not asked for any more: what was said is about to be undone.
    pub(super) fn disregard(&self) {
        self.owed.take();
    }

    pub(super) fn warnings(&self) -> MutexGuard<'_, Vec<String>> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Moves what is said and answered, until the line ends: then everybody who waits is told.
async fn moving<T>(mut connection: Connection<Socket, T>, warnings: Warnings)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) if notice.parsed_severity() == Some(Severity::Warning) => {
                let mut warnings = warnings.lock().unwrap_or_else(PoisonError::into_inner);
                warnings.push(notice.message().to_owned());
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a connection to the database ended");
                return;
            }
        }
    }
}

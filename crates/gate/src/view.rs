//! What one decision is made by, from its beginning to its end.

use std::sync::Arc;

use arc_swap::Guard;
use keygate_model::{Digest, Position};

use crate::{
    book::Book,
    table::{Key, Table},
};

/// The table of tokens and the book, each as it is when a decision begins and until it is made. Taking hold of one costs
/// as much as a look-up in the cache, and waits for every read that is under way: so each is taken once, and first.
pub(crate) struct View {
    /// What was applied before the rest was taken: whoever lets somebody in by it looks whether that is still so.
    pub(crate) position: Position,
    pub(crate) tokens: Guard<Arc<Table>>,
    pub(crate) book: Guard<Arc<Book>>,
}

impl View {
    /// Begins to fetch what a look-up will need, so that it is there when it is asked for.
    pub(crate) fn fetch(&self, digest: &Digest) {
        self.tokens.fetch(Key::of(digest));
    }
}

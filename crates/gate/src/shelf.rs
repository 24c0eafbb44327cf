//! An append-only list that is read without a lock: things keep their place for ever, so a place is a 32-bit number that
//! other tables can hold.

use std::sync::OnceLock;

/// Things in the first chunk; each further chunk is twice as large.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 26;

/// The list. Appending wants `&mut` of a counter that only the writer has, so there is one writer by construction.
pub(crate) struct Shelf<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
}

/// How many things stand on a shelf; whoever owns this may append.
#[derive(Default)]
pub(crate) struct ShelfEnd(u32);

impl<T> Shelf<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Puts a thing at the end and returns its place. None when the shelf is full, at some four billion things.
    pub(crate) fn push(&self, end: &mut ShelfEnd, thing: T) -> Option<u32> {
        let place = end.0;
        let (chunk, within) = locate(place);
        let chunk_len = FIRST_CHUNK << chunk;
        let chunk = self.chunks.get(chunk)?.get_or_init(|| (0..chunk_len).map(|_| OnceLock::new()).collect());
        chunk.get(within)?.set(thing).ok()?;
        end.0 = place.checked_add(1)?;
        Some(place)
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (chunk, within) = locate(place);
        self.chunks.get(chunk)?.get()?.get(within)?.get()
    }
}

fn locate(place: u32) -> (usize, usize) {
    let shifted = place as usize + FIRST_CHUNK;
    let chunk = (shifted.ilog2() - FIRST_CHUNK.ilog2()) as usize;
    (chunk, shifted - (FIRST_CHUNK << chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_stay() {
        let (shelf, mut end) = (Shelf::new(), ShelfEnd::default());
        for number in 0..10_000_u32 {
            assert_eq!(shelf.push(&mut end, number), Some(number));
        }
        assert!((0..10_000).all(|place| shelf.get(place) == Some(&place)));
        assert_eq!(shelf.get(10_000), None);
    }
}

//! An append-only list that is read without a lock: things keep their place for ever, so a place is a 32-bit number that
//! other tables can hold.

use std::sync::OnceLock;

/// Things in the first chunk; each further chunk is twice as large.
const FIRST_CHUNK: usize = 64;
const CHUNKS: usize = 26;

/// The list. Its things begin as their default and are filled where they stand. Appending wants `&mut` of a counter that
/// only the writer has, so there is one writer by construction.
pub(crate) struct Shelf<T> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

/// How many things stand on a shelf; whoever owns this may append.
#[derive(Default)]
pub(crate) struct ShelfEnd(u32);

impl<T: Default> Shelf<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Takes the next place, with the thing there to be filled. None when the shelf is full, at some four billion.
    pub(crate) fn add(&self, end: &mut ShelfEnd) -> Option<(u32, &T)> {
        let place = end.0;
        let (chunk, within) = locate(place);
        let chunk_len = FIRST_CHUNK << chunk;
        let chunk = self.chunks.get(chunk)?.get_or_init(|| (0..chunk_len).map(|_| T::default()).collect());
        end.0 = place.checked_add(1)?;
        Some((place, chunk.get(within)?))
    }

    pub(crate) fn get(&self, place: u32) -> Option<&T> {
        let (chunk, within) = locate(place);
        self.chunks.get(chunk)?.get()?.get(within)
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
        let (shelf, mut end) = (Shelf::<OnceLock<u32>>::new(), ShelfEnd::default());
        for number in 0..10_000_u32 {
            let (place, thing) = shelf.add(&mut end).unwrap();
            assert_eq!((place, thing.set(number)), (number, Ok(())));
        }
        assert!((0..10_000).all(|place| shelf.get(place).and_then(OnceLock::get) == Some(&place)));
        assert_eq!(shelf.get(10_000).and_then(OnceLock::get), None);
    }
}

//! Base-62 numbers, the alphabet of ids and secrets: `0-9A-Za-z`, most significant digit first.

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The value of each byte as a base-62 digit, `NONE` for bytes outside the alphabet.
const DIGITS: [u8; 256] = digits();
const NONE: u8 = 0xff;

/// Whether every byte is a base-62 digit.
#[must_use]
pub fn is_base62(text: &[u8]) -> bool {
    // Without branches, so that it is seen sixteen bytes at a time.
    text.iter().fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

/// The digits of `value`, without leading zeros; `"0"` for zero. At most 22 characters.
#[must_use]
pub fn encode(value: u128) -> String {
    // In chunks that fit a word: a 128-bit division for every digit would be most of the time.
    let chunks = [value / CHUNK_END / CHUNK_END, value / CHUNK_END % CHUNK_END, value % CHUNK_END];
    let mut text = [b'0'; 3 * CHUNK];
    for (chunk, places) in chunks.into_iter().zip(text.chunks_exact_mut(CHUNK)) {
        let mut rest = chunk as u64;
        for place in places.iter_mut().rev() {
            *place = ALPHABET[(rest % 62) as usize];
            rest /= 62;
        }
    }
    let start = text.iter().position(|digit| *digit != b'0').unwrap_or(text.len() - 1);
    text[start..].iter().map(|digit| char::from(*digit)).collect()
}

/// The number that `text` writes, if `text` is exactly what [`encode`] would write for it: one spelling an id.
#[must_use]
pub fn decode(text: &str) -> Option<u128> {
    if text.is_empty() || text.len() > 22 || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    // In chunks whose value fits a word: a 128-bit multiplication for every digit would be most of the time. Only the
    // first is shorter, and nothing stands before that.
    text.as_bytes()
        .rchunks(CHUNK)
        .rev()
        .try_fold(0_u128, |value, chunk| value.checked_mul(CHUNK_END)?.checked_add(u128::from(small(chunk)?)))
}

/// Ten digits fit 64 bits.
const CHUNK: usize = 10;
const CHUNK_END: u128 = 62_u128.pow(CHUNK as u32);

/// The number in ten digits or fewer.
fn small(digits: &[u8]) -> Option<u64> {
    let (value, odd) = digits.iter().fold((0_u64, 0), |(value, odd), byte| {
        let digit = DIGITS[usize::from(*byte)];
        (value.wrapping_mul(62).wrapping_add(u64::from(digit)), odd | digit)
    });
    (odd & 0x80 == 0).then_some(value)
}

/// `bytes` as a big-endian number in exactly `width` digits, zero-padded on the left.
#[must_use]
pub fn encode_wide(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; width];
    for place in text.iter_mut().rev() {
        *place = ALPHABET[usize::from(divide_by_62(&mut number))];
    }
    text.into_iter().map(char::from).collect()
}

/// The number in six digits or fewer, if it fits 32 bits. For checksums, which are zero-padded.
#[must_use]
pub fn decode_u32(text: &[u8]) -> Option<u32> {
    u32::try_from(small(text)?).ok()
}

/// Divides the big-endian `number` in place and returns the remainder.
fn divide_by_62(number: &mut [u8]) -> u8 {
    let mut rest = 0_u16;
    for byte in number {
        let part = rest << 8 | u16::from(*byte);
        *byte = (part / 62) as u8;
        rest = part % 62;
    }
    rest as u8
}

const fn digits() -> [u8; 256] {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 62 {
        table[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_has_one_spelling() {
        assert_eq!(encode(0), "0");
        assert_eq!(decode("0"), Some(0));
        assert_eq!(decode("00"), None);
        assert_eq!(decode(""), None);
    }

    #[test]
    fn a_recorded_id_reads_back() {
        for id in ["51MumwLiSJyFTWhtbByYgR", "2NfYQKW1WOyZAHfx5vHUz"] {
            assert_eq!(decode(id).map(encode).as_deref(), Some(id));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u128) {
            prop_assert_eq!(decode(&encode(value)), Some(value));
        }

        #[test]
        fn wide_numbers_keep_their_width(bytes: [u8; 32]) {
            let text = encode_wide(&bytes, 43);
            prop_assert_eq!(text.len(), 43);
            prop_assert!(is_base62(text.as_bytes()));
        }

        #[test]
        fn checksums_read_back(value: u32) {
            prop_assert_eq!(decode_u32(encode_wide(&value.to_be_bytes(), 6).as_bytes()), Some(value));
        }
    }
}

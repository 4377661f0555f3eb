//! The checksums of etcd's files.
//!
//! Every CRC that etcd stores or prints is CRC-32C (Castagnoli): the WAL chain, `.snap` files, the `status` hash,
//! HashKV. bbolt's meta pages carry FNV-1a-64, snapshot files end in a SHA-256.

use std::sync::LazyLock;

use crate::codec::to_usize;

/// Continues a CRC-32C over more bytes, as Go's `crc32.Update` does; start with 0.
#[must_use]
pub fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, bytes)
}

// Multiplication in GF(2) modulo the reflected Castagnoli polynomial; x^0 is the top bit. As zlib's crc32_combine
// works.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const fn multiply(a: u32, mut b: u32) -> u32 {
    let mut mask = 1u32 << 31;
    let mut product = 0;
    while mask != 0 {
        if a & mask != 0 {
            product ^= b;
        }
        mask >>= 1;
        b = if b & 1 != 0 { (b >> 1) ^ POLYNOMIAL } else { b >> 1 };
    }
    product
}

/// `X_POW_2[i]` is x^(2^i).
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "evaluated at compile time")]
const X_POW_2: [u32; 67] = {
    let mut table = [0; 67];
    table[0] = 1 << 30;
    let mut i = 1;
    while i < table.len() {
        table[i] = multiply(table[i - 1], table[i - 1]);
        i += 1;
    }
    table
};

/// Below 2 to this many bytes one multiplication joins two checksums.
const SHORT: u32 = 12;

/// `x^(8n)` for each `n` below 2^[`SHORT`].
static BYTES: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let byte = X_POW_2.get(3).copied().unwrap_or_default();
    std::iter::successors(Some(1 << 31), |power| Some(multiply(byte, *power))).take(1 << SHORT).collect()
});

/// The CRC-32C of A followed by B, from the CRC of each and the length of B in bytes.
#[must_use]
pub fn crc32c_combine(a: u32, b: u32, len_b: u64) -> u32 {
    let mut shifted =
        BYTES.get(to_usize(len_b & !(u64::MAX << SHORT))).map_or(a, |power| multiply(*power, a));
    let mut rest = len_b >> SHORT;
    // A byte is x^8 = x^(2^3), so bit i of the length is x^(2^(i+3)).
    for power in X_POW_2.iter().skip(to_usize(u64::from(SHORT)).saturating_add(3)) {
        if rest == 0 {
            break;
        }
        if rest & 1 != 0 {
            shifted = multiply(*power, shifted);
        }
        rest >>= 1;
    }
    shifted ^ b
}

/// FNV-1a, 64 bits.
#[must_use]
pub fn fnv1a64(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).into()
}

/// Bytes as lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn combine_equals_the_crate_and_the_whole() {
        let data: Vec<u8> = (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for split in [0, 1, 2, 17, 4095, 4096, 65_537, 99_999, 100_000] {
            let (a, b) = data.split_at(split);
            let (crc_a, crc_b) = (crc32c(0, a), crc32c(0, b));
            assert_eq!(crc32c_combine(crc_a, crc_b, b.len() as u64), crc32c(0, &data));
            assert_eq!(
                crc32c_combine(crc_a, crc_b, b.len() as u64),
                crc32c::crc32c_combine(crc_a, crc_b, b.len())
            );
        }
    }

    #[test]
    fn known_answers() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(fnv1a64(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a64(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}

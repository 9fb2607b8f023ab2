//! For the tests that hold what docs/store-format.md says of a file's bytes.

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

/// The CRC32C of everything before the last four bytes, which must be those four.
pub(crate) fn ends_in_its_checksum(bytes: &[u8]) -> bool {
    let end = bytes.len() - 4;
    u32_at(bytes, end) == crc32c::crc32c(&bytes[..end])
}

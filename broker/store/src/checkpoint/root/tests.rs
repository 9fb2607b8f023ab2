//! A root's bytes.

use super::*;
use crate::tests::{ends_in_its_checksum, u32_at, u64_at};

fn root() -> Root {
    let blob = |n: u32| BlobRef {
        pack: 7,
        offset: u64::from(n) * 100,
        len: n,
        crc: !n,
    };
    Root {
        position: LogPosition {
            physical: PhysicalOffset(1 << 40),
            index: LogIndex(2),
            term: Term(3),
        },
        header: b"header".to_vec(),
        parts: (0..20)
            .map(|n| {
                (
                    PartKey {
                        kind: 3,
                        ids: [n, 2, 1],
                    },
                    blob(n).into(),
                )
            })
            .collect(),
    }
}

/// Of the parts 3 and 19.
fn with_patches() -> Root {
    let mut root = root();
    for (n, part) in (0..).zip(root.parts.values_mut()) {
        let patch = BlobRef {
            pack: 8,
            offset: 24 + n,
            len: 5,
            crc: 6,
        };
        part.patch = (n % 16 == 3).then_some(patch);
    }
    root
}

#[test]
fn the_bytes_are_those_that_the_format_says() {
    let bytes = root().encode();
    assert_eq!(&bytes[..8], b"SLUICERT");
    assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [1, 0]);
    assert_eq!([16, 24, 32].map(|at| u64_at(&bytes, at)), [1 << 40, 2, 3]);
    assert_eq!([40, 44].map(|at| u32_at(&bytes, at)), [6, 20]);
    assert_eq!(&bytes[48..54], b"header");
    let part = &bytes[54 + 37 * 19..];
    assert_eq!(part[0], 3);
    assert_eq!([1, 5, 9].map(|at| u32_at(part, at)), [19, 2, 1]);
    assert_eq!([13, 21].map(|at| u64_at(part, at)), [7, 1900]);
    assert_eq!([29, 33].map(|at| u32_at(part, at)), [19, !19]);
    assert_eq!(part.len(), 37 + 4);
    assert!(ends_in_its_checksum(&bytes));
}

#[test]
fn patches_follow_the_parts_and_make_it_another_version() {
    let (plain, bytes) = (root().encode(), with_patches().encode());
    assert_eq!([8, 12].map(|at| u32_at(&bytes, at)), [2, 2]);
    let patches = plain.len() - 4;
    assert_eq!(bytes[16..patches], plain[16..patches]);
    assert_eq!([0, 28].map(|at| u32_at(&bytes, patches + at)), [3, 19]);
    let last = &bytes[patches + 28 + 4..];
    assert_eq!([0, 8].map(|at| u64_at(last, at)), [8, 24 + 19]);
    assert_eq!([16, 20].map(|at| u32_at(last, at)), [5, 6]);
    assert_eq!(last.len(), 24 + 4);
    assert!(ends_in_its_checksum(&bytes));
    assert_eq!(with_patches().encoded_len(), bytes.len());
}

#[test]
fn a_patch_of_a_part_that_is_not_there_is_refused() {
    let mut bytes = with_patches().encode();
    let (patches, end) = (root().encode().len() - 4, bytes.len() - 4);
    bytes[patches] = 20;
    let crc = crc32c::crc32c(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Root::decode(&bytes), Err(Malformed::Range("patched part")));
}

#[test]
fn what_a_root_counts_on_is_parts_and_patches() {
    let root = with_patches();
    assert_eq!(root.packs(), [7, 8].into());
    assert_eq!(root.reaches(), [(7, 1900 + 19), (8, 24 + 19 + 5)].into());
}

#[test]
fn a_root_comes_back_from_its_bytes() {
    assert_eq!(Root::decode(&with_patches().encode()), Ok(with_patches()));
    assert_eq!(Root::decode(&root().encode()), Ok(root()));
    assert_eq!(Root::decode(&Root::default().encode()), Ok(Root::default()));
}

#[test]
fn a_damaged_root_is_refused() {
    let bytes = with_patches().encode();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        assert!(Root::decode(&flipped).is_err(), "byte {at} flipped");
        assert!(Root::decode(&bytes[..at]).is_err(), "cut at {at}");
    }
}

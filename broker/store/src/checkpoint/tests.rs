//! Damage to what a part is made of, its bytes as they were stored or its patch: whoever looks finds it, and says where.

use super::root::{BlobRef, Root};
use super::*;
use crate::io::{FaultyIo, write_all_at};
use crate::survey::Findings;
use sluice_core::hash::mix;
use sluice_core::ids::{LogIndex, Term};

const DIR: &str = "/d/checkpoint";
const PARTS: u32 = 5;

fn position(at: u64) -> LogPosition {
    LogPosition {
        physical: PhysicalOffset(at),
        index: LogIndex(at),
        term: Term(1),
    }
}

fn key(n: u32) -> PartKey {
    PartKey {
        kind: 1,
        ids: [n, 0, 0],
    }
}

/// A part as the checkpoint at 8 or at 16 has it.
fn bytes(n: u32, at: u64) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..2000).map(|byte| mix(u64::from(n), byte) as u8).collect();
    bytes[1000] = at as u8;
    bytes
}

/// Two checkpoints, of which the second one has patches of all parts.
fn two() -> (Arc<dyn LogIo>, Checkpoints, Root) {
    let io: Arc<dyn LogIo> = Arc::new(FaultyIo::new(0));
    let mut checkpoints = Checkpoints::create(Arc::clone(&io), Path::new(DIR)).unwrap();
    for at in [8, 16] {
        let parts = (0..PARTS).map(|n| (key(n), Some(bytes(n, at))));
        let stats = checkpoints
            .write(position(at), b"header", &|_| true, parts)
            .unwrap();
        assert_eq!(stats.patched, if at == 8 { 0 } else { PARTS as usize });
    }
    let (root, _) = checkpoints.read(16, false).unwrap();
    (io, checkpoints, root)
}

/// Flips a bit of a blob; answers the file.
fn damage(io: &Arc<dyn LogIo>, blob: &BlobRef) -> PathBuf {
    let path = Path::new(DIR).join(format!("{:020}{PACK_SUFFIX}", blob.pack));
    let file = io.open(&path).unwrap();
    let (mut byte, at) = ([0], blob.offset + u64::from(blob.len) / 2);
    file.read_at(&mut byte, at).unwrap();
    write_all_at(&*file, &[byte[0] ^ 4], at).unwrap();
    path
}

fn assert_names(error: &CheckpointError, file: &Path, blob: &BlobRef) {
    let CheckpointError::Damaged { path, offset, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((path.as_path(), *offset), (file, blob.offset));
}

/// The blobs of a part: what it was, and its patch.
fn blobs(root: &Root) -> [BlobRef; 2] {
    let part = root.parts[&key(3)];
    [part.base, part.patch.unwrap()]
}

#[test]
fn a_start_names_the_damaged_blob_and_goes_on_from_an_older_checkpoint_that_does_without() {
    for (n, is_older_whole) in [(0, false), (1, true)] {
        let (io, checkpoints, root) = two();
        let blob = blobs(&root)[n];
        let file = damage(&io, &blob);
        assert_names(&checkpoints.read(16, true).unwrap_err(), &file, &blob);
        let opened = Checkpoints::open(io, Path::new(DIR), Pick::Newest);
        match opened {
            Ok((_, loaded)) => {
                assert!(is_older_whole);
                assert_eq!(loaded.position, position(8));
                assert!(loaded.parts().all(|(key, found)| found == bytes(key.ids[0], 8)));
            }
            Err(error) => assert!(
                !is_older_whole && matches!(error, CheckpointError::None { .. }),
                "{error}"
            ),
        }
    }
}

#[test]
fn some_parts_are_read_without_the_damaged_one() {
    for n in 0..2 {
        let (io, _, root) = two();
        let blob = blobs(&root)[n];
        let file = damage(&io, &blob);
        let load =
            |wanted: &dyn Fn(&PartKey) -> bool| load_some(&io, Path::new(DIR), PhysicalOffset(16), wanted);
        let others = load(&|part| *part != key(3)).unwrap();
        assert_eq!(others.parts().count(), 4);
        assert!(others.parts().all(|(key, found)| found == bytes(key.ids[0], 16)));
        assert_names(&load(&|part| *part == key(3)).unwrap_err(), &file, &blob);
    }
}

#[test]
fn a_survey_tells_where() {
    for n in 0..2 {
        let (io, _, root) = two();
        let blob = blobs(&root)[n];
        let file = damage(&io, &blob);
        let mut findings = Findings::default();
        let (surveyed, _) = survey(&io, Path::new(DIR), true, &mut findings).unwrap();
        let whole: Vec<_> = surveyed.iter().map(|survey| survey.whole).collect();
        assert_eq!(whole, [n == 1, false]);
        assert_eq!(surveyed[1].packs, 2);
        let told = format!("{findings:?}");
        assert!(
            told.contains(file.to_str().unwrap()) && told.contains(&blob.offset.to_string()),
            "{told}"
        );
    }
}

#[test]
fn the_scrub_reads_both_and_tells_where() {
    for n in 0..3 {
        let (io, checkpoints, root) = two();
        let blob = blobs(&root).get(n).copied();
        let file = blob.map(|blob| damage(&io, &blob));
        let mut scrub = CheckpointScrub::new(&io, Path::new(DIR), &checkpoints.expected()).unwrap();
        let (mut read, mut told) = (0, Vec::new());
        while let Some(step) = scrub.step(1) {
            match step {
                Ok(bytes) => read += bytes,
                Err(error) => told.push(error),
            }
        }
        match (blob, file) {
            (Some(blob), Some(file)) => {
                assert_eq!(told.len(), 1, "{told:?}");
                assert_names(&told[0], &file, &blob);
            }
            _ => {
                let patches: u64 = root
                    .parts
                    .values()
                    .map(|part| u64::from(part.patch.unwrap().len))
                    .sum();
                assert!(told.is_empty() && read > 10_000 + patches, "{read}, {told:?}");
            }
        }
    }
}

#[test]
fn what_can_be_read_of_a_damaged_checkpoint_are_the_other_parts_and_earlier_versions() {
    for n in 0..2 {
        let (io, _, root) = two();
        damage(&io, &blobs(&root)[n]);
        let found = readable(&io, Path::new(DIR)).unwrap().unwrap();
        assert_eq!(found.parts.len(), 4);
        assert!(
            found
                .parts
                .iter()
                .all(|(key, found)| *found == bytes(key.ids[0], 16))
        );
        let (lost, earlier) = &found.lost[0];
        assert_eq!(*lost, key(3));
        let earlier = earlier
            .as_ref()
            .map(|earlier| (earlier.at.0, earlier.bytes.clone()));
        assert_eq!(earlier, (n == 1).then(|| (8, bytes(3, 8))));
    }
}

#[test]
fn a_patch_that_does_not_fit_what_is_stored_is_damage() {
    let (_, checkpoints, mut root) = two();
    let [other, patch] = [key(2), key(3)].map(|key| root.parts[&key]);
    let path = checkpoints.path(16, PACK_SUFFIX);
    let patch = patch.patch.unwrap();
    root.parts.insert(
        key(2),
        root::PartRef {
            patch: Some(patch),
            ..other
        },
    );
    assert_names(&checkpoints.read_parts(&root).unwrap_err(), &path, &patch);
}

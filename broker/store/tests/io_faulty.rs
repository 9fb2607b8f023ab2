//! The faulty files fail as planned, and never more mildly than the contract of the IO traits allows.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_store::io::{Fault, FaultyIo, LogIo, RealIo, read_exact_at, write_all_at};
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};

const EIO: Option<i32> = Some(5);

fn content(io: &dyn LogIo, path: &str) -> Option<Vec<u8>> {
    let file = io.open_read(Path::new(path)).ok()?;
    let mut bytes = vec![0; file.len().unwrap() as usize];
    read_exact_at(&*file, &mut bytes, 0).unwrap();
    Some(bytes)
}

fn disk_with_file(bytes: &[u8]) -> (FaultyIo, sluice_store::io::FileHandle) {
    let io = FaultyIo::new(1);
    io.create_dir(Path::new("/d")).unwrap();
    let file = io.create(Path::new("/d/a")).unwrap();
    write_all_at(&*file, bytes, 0).unwrap();
    file.sync_data().unwrap();
    io.sync_dir(Path::new("/d")).unwrap();
    (io, file)
}

#[test]
fn synced_bytes_survive_every_crash_and_unsynced_ones_in_any_sectors() {
    let (io, file) = disk_with_file(&[1; 2048]);
    write_all_at(&*file, &[2; 1024], 512).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let after = content(&io.crash(seed), "/d/a").unwrap();
        assert_eq!(after.len(), 2048);
        assert!(after[..512].iter().chain(&after[1536..]).all(|byte| *byte == 1));
        let sectors: Vec<u8> = after.chunks(512).map(|sector| sector[0]).collect();
        assert!(
            after
                .chunks(512)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0])),
            "torn in a sector"
        );
        seen.insert((sectors[1], sectors[2]));
    }
    assert_eq!(seen.len(), 4, "either sector, both and none: {seen:?}");
    assert_eq!(content(&io.crash_losing_all(), "/d/a").unwrap(), [1; 2048]);
    assert_eq!(
        content(&io.crash_keeping_all(), "/d/a").unwrap()[512..1536],
        [2; 1024]
    );
}

#[test]
fn a_rename_without_a_sync_leaves_the_old_or_the_new() {
    let (io, _) = disk_with_file(b"old");
    let file = io.create(Path::new("/d/b")).unwrap();
    write_all_at(&*file, b"new", 0).unwrap();
    file.sync_data().unwrap();
    io.rename(Path::new("/d/b"), Path::new("/d/a")).unwrap();
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let after = io.crash(seed);
        seen.insert((content(&after, "/d/a").unwrap(), content(&after, "/d/b")));
    }
    let expected = [
        (b"old".to_vec(), None),
        (b"old".to_vec(), Some(b"new".to_vec())),
        (b"new".to_vec(), None),
    ];
    assert_eq!(seen, expected.into());
    io.sync_dir(Path::new("/d")).unwrap();
    assert_eq!(content(&io.crash_losing_all(), "/d/a").unwrap(), b"new");
    assert_eq!(io.crash(3).list(Path::new("/d")).unwrap(), [PathBuf::from("a")]);
}

#[test]
fn a_file_is_gone_whose_name_was_never_synced() {
    let io = FaultyIo::new(1);
    assert_eq!(
        io.create(Path::new("/x/a")).err().unwrap().kind(),
        ErrorKind::NotFound,
        "no such folder"
    );
    io.create_dir(Path::new("/x")).unwrap();
    let file = io.create(Path::new("/x/a")).unwrap();
    write_all_at(&*file, b"1", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(content(&io.crash_losing_all(), "/x/a"), None);
    assert!(
        io.crash_losing_all().create(Path::new("/x/a")).is_err(),
        "the folder is gone too"
    );
    io.sync_all_files(Path::new("/x")).unwrap();
    assert_eq!(content(&io.crash_losing_all(), "/x/a").unwrap(), b"1");
    io.remove(Path::new("/x/a")).unwrap();
    assert!(content(&io, "/x/a").is_none());
    assert!(content(&io.crash_losing_all(), "/x/a").is_some());
}

#[test]
fn a_failed_sync_loses_what_is_still_read() {
    let (io, file) = disk_with_file(b"old");
    write_all_at(&*file, b"new", 0).unwrap();
    io.plant(Fault::SyncError { nth: 1 });
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), EIO);
    assert_eq!(content(&io, "/d/a").unwrap(), b"new");
    file.sync_data().unwrap();
    io.sync_all_files(Path::new("/d")).unwrap();
    assert_eq!(
        content(&io.crash(0), "/d/a").unwrap(),
        b"old",
        "a sync that works later brings nothing back"
    );
}

#[test]
fn a_failed_sync_of_everything_is_told_to_each_file_that_lost_something() {
    let (io, file) = disk_with_file(b"old");
    let other = io.create(Path::new("/d/b")).unwrap();
    write_all_at(&*file, b"new", 0).unwrap();
    io.plant(Fault::SyncNoSpace {
        below: "/d".into(),
        nth: 1,
    });
    let error = io.sync_all_files(Path::new("/d")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    assert_eq!(file.sync_data().unwrap_err().raw_os_error(), EIO);
    other.sync_data().unwrap();
    file.sync_data().unwrap();
    assert_eq!(content(&io.crash_keeping_all(), "/d/a").unwrap(), b"new");
    assert_eq!(content(&io.crash_losing_all(), "/d/a").unwrap(), b"old");
}

#[test]
fn writes_fail_and_fall_short_as_planned() {
    let (io, file) = disk_with_file(b"");
    io.plant(Fault::WriteError { nth: 2 });
    file.write_at(&[IoSlice::new(b"ab")], 0).unwrap();
    assert_eq!(
        file.write_at(&[IoSlice::new(b"cd")], 2)
            .unwrap_err()
            .raw_os_error(),
        EIO
    );
    assert_eq!(file.len().unwrap(), 2);
    io.plant(Fault::ShortWrites);
    assert!(
        file.write_at(&[IoSlice::new(&[7; 100]), IoSlice::new(&[8; 100])], 2)
            .unwrap()
            < 200
    );
    write_all_at(&*file, &[9; 5000], 2).unwrap();
    assert_eq!(content(&io, "/d/a").unwrap()[2..], [9; 5000]);
    io.plant(Fault::ReadError {
        path: "/d/a".into(),
        range: 100..101,
    });
    assert!(file.read_at(&mut [0; 50], 0).is_ok());
    assert_eq!(file.read_at(&mut [0; 50], 60).unwrap_err().raw_os_error(), EIO);
    let map = file.map(200).unwrap();
    assert_eq!(map.bytes(60..110).unwrap_err().raw_os_error(), EIO);
    assert_eq!(map.bytes(101..110).unwrap()[..], [9; 9]);
}

#[test]
fn a_full_disk_takes_overwrites_and_recovers() {
    let (io, file) = disk_with_file(&[1; 100]);
    io.plant(Fault::NoSpace { after: 10 });
    write_all_at(&*file, &[2; 100], 0).unwrap();
    assert_eq!(
        file.write_at(&[IoSlice::new(&[3; 20])], 95).unwrap(),
        15,
        "5 overwritten, 10 appended"
    );
    assert_eq!(
        file.write_at(&[IoSlice::new(&[3; 1])], 110).unwrap_err().kind(),
        ErrorKind::StorageFull
    );
    assert_eq!(file.set_len(111).unwrap_err().kind(), ErrorKind::StorageFull);
    file.set_len(50).unwrap();
    write_all_at(&*file, &[4; 60], 50).unwrap();
    assert!(write_all_at(&*file, &[4; 1], 110).is_err());
    io.lift_no_space();
    write_all_at(&*file, &[4; 1000], 110).unwrap();
}

#[test]
fn a_folder_can_be_full_alone_and_a_quota_be_used_up() {
    let (io, file) = disk_with_file(&[1; 100]);
    io.create_dir(Path::new("/e")).unwrap();
    let other = io.create(Path::new("/e/a")).unwrap();
    io.plant(Fault::NoSpaceBelow {
        folder: "/e".into(),
        after: 0,
    });
    write_all_at(&*file, &[2; 200], 0).unwrap();
    let error = write_all_at(&*other, &[2], 0).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StorageFull);
    io.plant(Fault::OverQuota { after: 10 });
    write_all_at(&*other, &[2; 10], 0).unwrap();
    for file in [file, other] {
        let error = file.set_len(1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    }
}

#[test]
fn a_stopped_process_does_nothing_more() {
    let (io, file) = disk_with_file(b"old");
    let at = io.operations() + 1;
    io.plant(Fault::Stop { at });
    write_all_at(&*file, b"new", 0).unwrap();
    assert!(file.sync_data().is_err());
    assert!(file.read_at(&mut [0], 0).is_err() && file.len().is_err() && io.open(Path::new("/d/a")).is_err());
    assert_eq!(io.operations(), at);
    assert_eq!(content(&io.crash_losing_all(), "/d/a").unwrap(), b"old");
    assert_eq!(content(&io.crash_keeping_all(), "/d/a").unwrap(), b"new");
}

#[test]
fn a_folder_in_memory_is_locked_once() {
    let io = FaultyIo::new(0);
    let lock = io.lock(Path::new("/d")).unwrap();
    assert_eq!(
        io.lock(Path::new("/d")).err().unwrap().kind(),
        ErrorKind::WouldBlock
    );
    io.crash(0).lock(Path::new("/d")).unwrap();
    drop(lock);
    io.lock(Path::new("/d")).unwrap();
}

#[test]
fn over_real_files_a_kill_loses_what_is_unsynced_and_a_skipped_sync_loses_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let name = path.to_str().unwrap();
    for skip_sync in [false, true] {
        let io = FaultyIo::over(RealIo::new(), skip_sync);
        io.remove(&path).unwrap();
        let file = io.create(&path).unwrap();
        write_all_at(&*file, &[1; 10_000], 0).unwrap();
        assert_eq!(
            content(&RealIo::new(), name).unwrap(),
            b"",
            "nothing is in the real file yet"
        );
        file.sync_data().unwrap();
        let synced = content(&RealIo::new(), name).unwrap();
        assert_eq!(synced.len(), if skip_sync { 0 } else { 10_000 });

        write_all_at(&*file, &[2; 100], 4090).unwrap();
        file.set_len(20_000).unwrap();
        file.set_len(9000).unwrap();
        let seen = content(&io, name).unwrap();
        assert_eq!(
            (seen.len(), seen[4089], seen[4090], seen[4189], seen[4190]),
            (9000, 1, 2, 2, 1)
        );
        assert_eq!(
            content(&io.crash(0), name).unwrap().len(),
            if skip_sync { 0 } else { 9000 }
        );
        io.sync_all_files(folder.path()).unwrap();
        assert_eq!(content(&RealIo::new(), name).unwrap(), seen);
    }
}

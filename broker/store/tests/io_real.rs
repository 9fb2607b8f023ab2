//! The real files keep the contract of the IO traits.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use sluice_store::io::{LogIo, RealIo, read_exact_at, write_all_at};
use std::io::{ErrorKind, IoSlice};
use std::path::PathBuf;

#[test]
fn a_file_is_made_written_read_mapped_renamed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let io = RealIo::new();
    let deep = folder.path().join("a/b");
    io.create_dir(&deep).unwrap();
    let (first, second) = (deep.join("1"), deep.join("2"));
    let file = io.create(&first).unwrap();
    assert_eq!(io.create(&first).err().unwrap().kind(), ErrorKind::AlreadyExists);
    let parts: Vec<_> = (0..3000_u32).map(u32::to_le_bytes).collect();
    let slices: Vec<_> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let written = file.write_at(&slices, 8).unwrap();
    assert_eq!(written, 4096, "1,024 buffers a call: the rest is a short write");
    write_all_at(&*file, b"tail", 8 + written as u64).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 8 + 4096 + 4);
    let mut back = [1; 12];
    read_exact_at(&*file, &mut back, 0).unwrap();
    assert_eq!(back, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        read_exact_at(&*file, &mut back, 4100).unwrap_err().kind(),
        ErrorKind::UnexpectedEof
    );
    assert_eq!(&file.map(4108).unwrap().bytes(4104..4108).unwrap()[..], b"tail");
    file.drop_cache(0, 0).unwrap();
    // Cached or not, what is read aside is what stands there.
    for _ in 0..2 {
        let mut all = vec![0; 5000];
        assert_eq!(file.read_aside(&mut all, 8).unwrap(), 4100);
        let mut same = vec![0; 4100];
        read_exact_at(&*file, &mut same, 8).unwrap();
        assert_eq!(all[..4100], same);
    }
    assert_eq!(file.read_aside(&mut [0; 9], 4108).unwrap(), 0);

    io.rename(&first, &second).unwrap();
    io.sync_dir(&deep).unwrap();
    io.sync_all_files(folder.path()).unwrap();
    assert_eq!(io.list(&deep).unwrap(), [PathBuf::from("2")]);
    assert!(
        io.open_read(&second)
            .unwrap()
            .write_at(&[IoSlice::new(b"x")], 0)
            .is_err()
    );
    assert_eq!(io.open(&first).err().unwrap().kind(), ErrorKind::NotFound);
    assert!(io.remove_dir(&deep).is_err(), "it is not empty");
    io.remove(&second).unwrap();
    io.remove(&second).unwrap();
    io.remove_dir(&deep).unwrap();
    io.remove_dir(&deep).unwrap();
    assert!(io.list(&deep).unwrap().is_empty());
}

#[test]
fn a_folder_is_locked_once_and_free_again_after() {
    let folder = tempfile::tempdir().unwrap();
    let lock = RealIo::new().lock(folder.path()).unwrap();
    let refused = RealIo::new().lock(folder.path()).err().unwrap();
    let holder = format!("process {}", std::process::id());
    assert!(
        refused.to_string().ends_with(&holder),
        "{refused} should name {holder}"
    );
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    drop(lock);
    RealIo::new().lock(folder.path()).unwrap();
}

#[test]
fn a_folder_that_took_the_place_of_a_locked_one_gets_no_file_of_who_locked_that() {
    let above = tempfile::tempdir().unwrap();
    let (dir, aside) = (above.path().join("data"), above.path().join("aside"));
    std::fs::create_dir(&dir).unwrap();
    let (io, other) = (RealIo::new(), RealIo::new());
    let _lock = io.lock(&dir).unwrap();
    io.create(&dir.join("before")).unwrap();
    std::fs::remove_file(dir.join("lock")).unwrap();
    io.create(&dir.join("without a lock, in the same folder"))
        .unwrap();

    std::fs::rename(&dir, &aside).unwrap();
    let error = |made: std::io::Result<()>| made.unwrap_err();
    let gone = error(io.create_dir(&dir.join("new")));
    assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    assert!(!dir.exists(), "it is not made again");
    io.remove(&dir.join("before")).unwrap();

    std::fs::create_dir(&dir).unwrap();
    let _lock = other.lock(&dir).unwrap();
    let (from, to) = (dir.join("theirs"), dir.join("ours"));
    other.create(&from).unwrap();
    for refused in [
        io.create(&to).map(drop),
        io.rename(&from, &to),
        io.remove(&from),
        io.create_dir(&to),
    ] {
        let said = error(refused).to_string();
        assert!(
            said.contains("another folder than the one that this process has locked"),
            "{said}"
        );
    }
    assert_eq!(
        io.list(&dir).unwrap(),
        [PathBuf::from("lock"), PathBuf::from("theirs")]
    );

    // Back in its place it is what it was.
    std::fs::rename(&dir, above.path().join("theirs")).unwrap();
    std::fs::rename(&aside, &dir).unwrap();
    io.create(&to).unwrap();
}

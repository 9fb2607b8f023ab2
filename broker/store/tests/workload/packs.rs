//! Damage to what checkpoints have.

use sluice_store::io::{FaultyIo, LogIo, read_exact_at, write_all_at};
use std::path::Path;

/// Bytes of a pack before its first part.
pub const PACK_HEADER: usize = 24;

/// Damages all parts that the checkpoints of a store's folder have by now.
pub fn damage_packs(io: &FaultyIo, dir: &Path) {
    let folder = dir.join("checkpoint");
    let names = io.list(&folder).unwrap();
    for pack in names
        .iter()
        .filter(|name| name.extension().is_some_and(|ending| ending == "pack"))
    {
        let file = io.open(&folder.join(pack)).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        read_exact_at(file.as_ref(), &mut bytes, 0).unwrap();
        bytes
            .iter_mut()
            .skip(PACK_HEADER)
            .step_by(8)
            .for_each(|byte| *byte ^= 1);
        write_all_at(file.as_ref(), &bytes, 0).unwrap();
    }
}

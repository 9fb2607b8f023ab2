//! What a damaged store is made of and looked at with.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod base;
mod checkpoints;
mod classify;
mod harm;
mod later;
mod picture;
mod reach;
mod sorted;
mod told;

pub use base::{
    DIR, KINDS, every_file, every_folder, files, killed_store, open_copy, untrimmed_store, whole_store,
};
pub use checkpoints::{has_patches, shared_blobs, whole_roots};
pub use classify::{Class, Sound, classify, try_harms};
pub use harm::{Harm, pick, read};
pub use later::Left;
pub use picture::{Difference, Picture};
pub use told::Told;

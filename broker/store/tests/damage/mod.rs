//! What a damaged store is made of and looked at with.

#![allow(dead_code, unused_imports, reason = "each test file uses a part of it")]

mod base;
mod harm;
mod picture;
mod told;

pub use base::{DIR, KINDS, files, open_copy, whole_store};
pub use harm::{Harm, pick};
pub use picture::{Difference, Picture};
pub use told::Told;

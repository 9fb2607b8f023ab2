//! What a damaged store is made of and looked at with.

mod base;
mod harm;
mod picture;
mod told;

pub use base::{DIR, KINDS, files, open_copy, whole_store};
pub use harm::{Harm, pick};
pub use picture::{Difference, Picture};
pub use told::Told;

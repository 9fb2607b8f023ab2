//! Sluice's storage: the CommitLog in segments, its log thread, and everything derived from it.
//!
//! Plain threads and plain objects with `step()`; no async runtime. All file access goes through [`io::LogIo`].

pub mod checkpoint;
pub mod index;
pub mod io;
pub mod log;
mod mmap;
pub mod queue;

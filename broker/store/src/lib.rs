//! Sluice's storage: the CommitLog in segments, its log thread, and everything derived from it.
//!
//! Plain threads and plain objects with `step()`; no async runtime. All file access goes through [`io::LogIo`].
//! [`Store`] puts the parts together; each can be driven on its own.

pub mod applier;
pub mod checkpoint;
pub mod checkpointer;
pub mod damage;
pub mod index;
pub mod io;
pub mod log;
mod mmap;
pub mod queue;
pub mod repair;
mod restored;
pub mod retention;
pub mod scrub;
pub mod stats;
mod store;
pub mod survey;
#[cfg(test)]
mod tests;

pub use applier::{NoObserver, Observer};
pub use checkpointer::{CheckpointPolicy, TrimPoint};
pub use store::{Failed, Store, StoreError, StoreOptions};

//! The broker as a process: flags, folder, signals, restarts, and what it shows to operators and clients.
#![cfg(test)]

mod bounds;
mod failing_sync;
mod files;
mod floods;
mod life;
mod operating;
mod overload;
mod protocol;
mod pulling;
mod quirks;
mod starting;
mod traffic;

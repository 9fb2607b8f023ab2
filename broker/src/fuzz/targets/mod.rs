//! One target a file. Each has a test that runs for as long as it is told to, one that replays what once failed, and one that
//! finds a fault that was planted for it.

mod command;
mod filter;
mod frame;
mod handle;
mod properties;
mod record;
mod requests;
mod sniff;

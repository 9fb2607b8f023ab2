//! `sluicectl`, Sluice's command line; `sluicectl --help` is the manual.
//!
//! `args` is what can be said, `settings` which broker is meant, `connect` the way there, `kubernetes` the way to an API server; `commands` do what is asked for,
//! `views` are what they come back with, and `output` shows it. Failures are values of one type, [`failure::Failure`].

#![forbid(unsafe_code)]

pub mod args;
mod commands;
pub mod connect;
pub mod failure;
mod kubernetes;
mod output;
mod run;
mod session;
pub mod settings;
pub mod units;
mod views;
pub mod wire;

pub use run::from_command_line;

//! The broker's process: gRPC for clients, HTTP for whoever watches, and the engine between them and the store.
//!
//! [`run::Broker`] puts the parts together; everything is handed to who needs it, and nothing is global.

mod admin;
mod budget;
pub mod clients;
pub mod config;
mod disk;
pub mod engine;
#[cfg(feature = "planted-faults")]
mod faults;
#[cfg(test)]
mod fuzz;
mod http;
mod init;
mod listener;
pub mod logging;
mod metrics;
mod nearest;
mod open_files;
mod receipt;
mod retention;
pub mod run;
mod scrub;
mod service;
pub mod shutdown;
mod spans;
mod standstill;
mod tls;
mod yaml;

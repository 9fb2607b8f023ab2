//! The command line as people and scripts use it: the real executable, against real brokers and their files.
#![cfg(test)]

mod access;
mod broker;
mod clients;
mod completion;
mod contexts;
mod failures;
mod files;
mod groups;
mod hints;
mod looking;
mod lost;
mod messages;
mod page;
mod repair;
mod resets;
mod stage;
mod topics;
mod watching;

//! The commands in the documentation, run as they are written, in a machine of their own.
#![cfg(test)]

mod machine;
mod newcomer;
mod operations;

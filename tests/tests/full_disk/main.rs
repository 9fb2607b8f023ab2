//! Disks that fill, that are full to the last byte, and that turn read-only, under a broker that must lose nothing it has
//! acknowledged, say what is wrong, and go on by itself.
#![cfg(test)]

mod filling;
mod full;
mod read_only;
mod stage;

//! Disks that fill, that are full to the last byte, and that turn read-only, under a broker that must lose nothing it has
//! acknowledged (D2), say what is wrong, and go on by itself; where it may, retention makes room (F8).
#![cfg(test)]

mod filling;
mod full;
mod read_only;
mod stage;

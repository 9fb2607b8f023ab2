//! Data folders that earlier releases wrote: each opens, has everything in it, and works on.
#![cfg(test)]

mod looking_up;
mod newer;
mod opening;
mod reading;

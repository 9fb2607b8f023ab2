//! Fuzz targets: what comes from outside, made from valid inputs that are damaged, against what must hold of every input.
//!
//! | file | what it holds |
//! |---|---|
//! | `draw` | numbers, texts and bytes, as the engine's chance has them |
//! | `damage` | what is done to a valid input: flips, cuts, splices, repeats |
//! | `case` | an input and where it comes from; shown as a file of `regressions` has it |
//! | `run` | the engine, what a target comes to, and how a planted fault is found |
//! | `bounds` | what holds of every decoder: memory, texts of errors, chance of a checksum |
//! | `regressions` | inputs that once failed, in files |
//! | `targets` | the targets, one a file; `cargo xtask fuzz` takes their names from there |

mod bounds;
mod case;
mod damage;
mod draw;
mod regressions;
mod run;
mod targets;

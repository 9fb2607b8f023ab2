//! HTTP that the operator serves: connections, answers, and the probes.

mod accept;
mod answers;
mod probes;

pub use accept::{Bounds, accept};
pub use answers::text;
pub use probes::{Probes, Stage, serve};

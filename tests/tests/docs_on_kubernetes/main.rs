//! The README's second part, run as it stands there on a real node: from the chart to consumers that a backlog has scaled.
#![cfg(test)]

mod newcomer;
mod terminal;

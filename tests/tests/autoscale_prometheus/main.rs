//! The operator's client asks a real Prometheus for what a real broker has to do (B2, B3): the default queries agree with the
//! broker's own word, count nothing twice, and tell what is wrong where there is no number.
#![cfg(test)]

mod default_queries;
mod refusals;
mod scraped;

//! Alerts that reach the operator, from a real Alertmanager and from whoever tries.
#![cfg(test)]

mod letting_in;
mod page;
mod receiving;
mod refusing;
mod stage;

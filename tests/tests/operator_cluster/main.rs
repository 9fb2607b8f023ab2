//! The operator's BrokerCluster controller on a real API server: which objects it makes of a resource, that it keeps them, and
//! that it writes nothing without a change. Pods do not run here: nobody but the operator acts on objects.
#![cfg(test)]

mod changes;
mod children;
mod refusals;
mod stage;
mod storage;

//! The client for Java, `org.apache.rocketmq:rocketmq-client-java`. All that it needs is done for every client:
//!
//! - `java-tls`: it speaks TLS unless it is told otherwise. TLS and plaintext share a port ([`crate::listener`]).
//! - `java-start`: it does not start before its settings are answered. They are at once, with a status.
//! - `java-unspecified`: it throws on a route with a permission or message type that is not specified, on one without queues,
//!   and on one with several addresses of the scheme DOMAIN_NAME. Routes have none of these ([`crate::service::endpoints`]).
//! - `java-body-size`: it takes the largest body literally, also a 0. It is told the broker's ([`crate::service::settings`]).
//! - `java-no-group`: a push consumer of a group that is not there stumbles over settings without a back-off. It is told
//!   those with which the group would be made.
//! - `java-same-id`: what it sends again after an error has the same message id. Both are taken; the id is what tells
//!   duplicates.
//! - `java-1322`: up to 5.2.1 only a receive whose deadline has passed is made again with the same attempt id, later ones keep
//!   it until messages come. An empty receive uses an attempt up in neither.
//! - `java-1237`: later ones put properties into their settings. They are given back as they came.
//! - `java-1310`: later ones connect anew where two heartbeats have failed. Up to 5.2.1 a client finds a broker that has started
//!   again by the reconnection of its library.
//! - `java-settles-forever`: it acknowledges, and gives back, again and again until the answer is OK or INVALID_RECEIPT_HANDLE.
//!   A handle that settles nothing is answered by that code, where topic and group are there.
//! - `java-new-handle`: after a change of the invisible duration it goes on with the handle that the answer has.

//! The client for Go, `github.com/apache/rocketmq-clients/golang/v5`:
//!
//! - `go-tls`: it speaks TLS unless it is told otherwise, as the one for Java.
//! - `go-1316`, `go-1165`: its start never ends without topics. It waits for settings on streams that it opens for the
//!   queues of its topics, so the broker cannot help it.
//! - `go-1324`: up to 5.1.4 it names one and the same queue when it tries again. The broker does not look at that queue.
//! - `go-2-mib`: it has a limit of 2 MiB on what it sends, which up to 5.1.4 it never applies. Larger bodies are taken, and one
//!   that applies it refuses them by itself.
//! - `go-permission`: it sends to queues that cannot be written, as those for Rust and Node.js do. Such a send is refused.
//! - `go-attempts`: it forgets how often its application wants it to try, and takes what it is told: [`attempts`].
//! - `go-same-id`: as the one for Java.
//! - `go-await`: a simple consumer names no time to wait, and waits for as long as a request may take. The answer comes
//!   in time ([`super::MARGIN`]), and says MESSAGE_NOT_FOUND, which its caller gets as an error.
//! - `go-entries`: it does not look at the codes of an acknowledgement's entries: a refused one looks like a good one.
//! - `go-farewell`: a producer's farewell has a group without a name. No farewell's group is looked at.
//! - `go-nameless`: the heartbeat by which it tries a broker that has failed has no client id. It is answered
//!   CLIENT_ID_REQUIRED, and that is an answer.
//! - `go-fifo`: a message whose handler fails does not hold back the next of its message group.
//! - `go-late-settings`: after a restart of the broker it sends its settings minutes later. Heartbeats count it until then
//!   ([`crate::service::announcement::presumed`]).
//! - `go-transactions`: it says nothing of where an end of a transaction comes from. Transactions are not there yet.

/// How often a producer tries unless it announces otherwise. Java takes the number literally: a 0 would let no message through.
const ATTEMPTS: i32 = 3;
const ATTEMPTS_MAX: i32 = 100;

/// How often a producer is told to try: as often as its application wants it to, where that makes sense.
pub fn attempts(announced: Option<i32>) -> i32 {
    announced
        .filter(|attempts| (1..=ATTEMPTS_MAX).contains(attempts))
        .unwrap_or(ATTEMPTS)
}

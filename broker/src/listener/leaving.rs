//! An answer on its way out. Its bytes are held against a bound until the client's end has taken them: who asks and does not read
//! makes the broker hold them.

use super::io::Connection;
use super::transfers::Transfer;
use crate::budget::Share;
use bytes::Bytes;
use hyper::Response;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;

/// What a call puts beside its answer where that is to be held.
#[derive(Clone, Debug)]
pub struct Unread(Arc<Share>);

impl From<Share> for Unread {
    fn from(share: Share) -> Self {
        Self(Arc::new(share))
    }
}

/// The body of an answer, or a piece of it on its way: while one of them is there, all of it is held.
struct Leaving {
    body: Body,
    held: Arc<Held>,
}

struct Piece {
    bytes: Bytes,
    _held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    _share: Arc<Share>,
    _transfer: Transfer,
}

/// The same answer, which holds what the call says until it was read.
pub(super) fn held(mut answer: Response<Body>, connection: &Connection) -> Response<Body> {
    match answer.extensions_mut().remove::<Unread>() {
        None => answer,
        Some(Unread(share)) => {
            let held = Arc::new(Held {
                _share: share,
                _transfer: connection.transfers().begin(),
            });
            answer.map(|body| Body::new(Leaving { body, held }))
        }
    }
}

impl hyper::body::Body for Leaving {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| {
            frame.map_data(|bytes| {
                Bytes::from_owner(Piece {
                    bytes,
                    _held: Arc::clone(&self.held),
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

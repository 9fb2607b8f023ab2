//! A request on its way in. What has come of it and is not whole yet is in memory without any call that could refuse it: so it
//! is held against a bound of its own, and must come to its end in time.

use super::activity::Busy;
use super::framing::Framing;
use super::io::Connection;
use super::transfers::Transfer;
use crate::budget::{Exceeded, Share};
use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::HeaderValue;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::Status;

/// Calls whose clients send as long as they like: between two messages nothing of them is awaited.
const STREAMS: [&str; 2] = ["/Telemetry", "/ServerReflectionInfo"];
const CLIENT_ID: &str = "x-mq-client-id";

/// The body of a request.
pub struct Arriving<B = Incoming> {
    body: B,
    framing: Framing,
    is_stream: bool,
    has_ended: bool,
    client: Option<HeaderValue>,
    connection: Arc<Connection>,
    held: Option<Held>,
    /// A stream lasts for as long as this does.
    _busy: Option<Busy>,
}

/// What the broker holds of a request that is not whole.
struct Held {
    share: Share,
    bytes: usize,
    _transfer: Transfer,
}

impl Arriving {
    /// The same request; what comes of it by this connection is looked after.
    pub(super) fn of(
        request: hyper::Request<Incoming>,
        connection: &Arc<Connection>,
    ) -> hyper::Request<Self> {
        let client = request.headers().get(CLIENT_ID).cloned();
        let path = request.uri().path();
        let is_stream = STREAMS.iter().any(|call| path.ends_with(call));
        request.map(|body| Self::new(body, is_stream, client, connection))
    }
}

impl<B: Body<Data = Bytes>> Arriving<B> {
    fn new(body: B, is_stream: bool, client: Option<HeaderValue>, connection: &Arc<Connection>) -> Self {
        Self {
            has_ended: body.is_end_stream(),
            body,
            framing: Framing::default(),
            is_stream,
            client,
            _busy: is_stream.then(|| connection.activity().any_call()).flatten(),
            connection: Arc::clone(connection),
            held: None,
        }
    }

    /// Bytes in memory that no call has been given yet, or that it cannot begin with; `None` where nothing is awaited.
    fn unfinished(&self) -> Option<usize> {
        match self.framing.last_whole() {
            _ if self.has_ended => None,
            Some(_) if self.is_stream => Some(self.framing.unfinished()).filter(|bytes| *bytes > 0),
            // A call with one message begins when its stream has ended.
            whole => Some(whole.unwrap_or_default() + self.framing.unfinished()),
        }
    }

    fn hold(&mut self) -> Result<(), Exceeded> {
        let Some(bytes) = self.unfinished() else {
            self.held = None;
            return Ok(());
        };
        match &mut self.held {
            Some(held) if bytes >= held.bytes => {
                held.share.grow(bytes - held.bytes)?;
                held.bytes = bytes;
            }
            // None is held, or it is the next message of a stream.
            held => {
                *held = None;
                let remote;
                let client = match self.client.as_ref().and_then(|id| id.to_str().ok()) {
                    Some(id) => id,
                    None => {
                        remote = self.connection.remote().ip().to_string();
                        &remote
                    }
                };
                *held = Some(Held {
                    share: self.connection.bounds().unfinished.admit(client, bytes)?,
                    bytes,
                    _transfer: self.connection.transfers().begin(),
                });
            }
        }
        Ok(())
    }
}

fn refusal(exceeded: Exceeded) -> Status {
    Status::resource_exhausted(match exceeded {
        Exceeded::All(max) => {
            format!("{max} bytes of requests have come that are not whole: try again after a moment")
        }
        Exceeded::Own(max) => {
            format!(
                "{max} bytes of this client's requests have come that are not whole: send fewer at a time"
            )
        }
    })
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.framing.advance(data);
                }
                self.has_ended = self.body.is_end_stream();
            }
            Poll::Ready(None | Some(Err(_))) => self.has_ended = true,
            Poll::Pending => {}
        }
        match self.hold() {
            Ok(()) => polled.map(|frame| frame.map(|frame| frame.map_err(Into::into))),
            Err(exceeded) => {
                self.held = None;
                Poll::Ready(Some(Err(refusal(exceeded).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

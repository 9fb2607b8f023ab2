//! An answer on its way out, which is counted with the code that it ends with.

use crate::metrics::AdminCall;
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Response};
use tonic::{Code, Status};

const STATUS: &str = "grpc-status";

/// Counts `call` with the code of the answer: at once where that is all of it, else when its trailers come.
pub(super) fn counted(answer: Response<Body>, mut call: AdminCall) -> Response<Body> {
    if let Some(code) = code_in(answer.headers()) {
        call.answered(code);
        return answer;
    }
    answer.map(|body| Body::new(Counted { body, call }))
}

fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get(STATUS).map(|code| Code::from_bytes(code.as_bytes()))
}

struct Counted {
    body: Body,
    call: AdminCall,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(code) = frame.trailers_ref().and_then(code_in)
        {
            self.call.answered(code);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! gRPC calls straight over `h2`, one connection a channel.
//!
//! On a small machine the load competes with the server for the same cores, so whatever it spends shows as the server's
//! latency: here a call has no task, no queue and no layer of its own between the generated client and HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures::FutureExt as _;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::uri::{Authority, Parts, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::body::Body;

const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take until it is given up; among a request's extensions.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Duration);

/// One HTTP/2 connection. Cheap to clone; it closes with its last clone.
#[derive(Debug, Clone)]
pub struct Channel {
    requests: SendRequest<Bytes>,
    scheme: Scheme,
    authority: Authority,
}

impl Channel {
    /// Connects to `HOST:PORT`, with TLS if there is somebody to judge the server's certificate.
    ///
    /// # Errors
    /// When the endpoint is malformed, nobody answers there, or whoever does speaks something else.
    pub async fn connect(endpoint: &str, tls: Option<Arc<dyn ServerCertVerifier>>) -> Result<Self> {
        let authority: Authority = endpoint
            .parse()
            .with_context(|| format!("endpoint {endpoint:?} is not HOST:PORT"))?;
        let opened = async {
            let tcp = TcpStream::connect(endpoint).await?;
            tcp.set_nodelay(true)?;
            match tls {
                None => Ok((shake_hands(tcp).await?, Scheme::HTTP)),
                Some(verifier) => {
                    let name = ServerName::try_from(authority.host().to_owned())?;
                    let stream = connector(verifier)?.connect(name, tcp).await?;
                    Ok((shake_hands(stream).await?, Scheme::HTTPS))
                }
            }
        };
        let opened: Result<_> = tokio::time::timeout(CONNECT_TIMEOUT, opened)
            .await
            .with_context(|| format!("no answer within {CONNECT_TIMEOUT:?}"))?;
        let (requests, scheme) = opened?;
        Ok(Self {
            requests,
            scheme,
            authority,
        })
    }

    async fn call(mut self, request: Request<Body>) -> Result<Response<Incoming>, Status> {
        let (mut parts, body) = request.into_parts();
        let mut uri = Parts::from(parts.uri);
        (uri.scheme, uri.authority) = (Some(self.scheme), Some(self.authority));
        parts.uri = Uri::from_parts(uri).map_err(|error| Status::internal(error.to_string()))?;
        let headers = &mut parts.headers;
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        let (response, stream) = self
            .requests
            .send_request(Request::from_parts(parts, ()), false)
            .map_err(broken)?;
        upload(body, stream).await?;
        let (parts, stream) = response.await.map_err(broken)?.into_parts();
        Ok(Response::from_parts(parts, Incoming { stream, ended: false }))
    }
}

fn connector(verifier: Arc<dyn ServerCertVerifier>) -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn shake_hands<T>(io: T) -> Result<SendRequest<Bytes>>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(io)
        .await?;
    // How a connection ends shows in the calls that it had.
    tokio::spawn(async move { drop(connection.await) });
    // Only now is it known that the other end speaks HTTP/2.
    Ok(requests.ready().await?)
}

/// Sends a body: what is there at once from here, what comes later from a task of its own.
async fn upload(mut body: Body, mut stream: SendStream<Bytes>) -> Result<(), Status> {
    while let Some(frame) = body.frame().now_or_never() {
        if !pass_on(frame, &body, &mut stream)? {
            return Ok(());
        }
    }
    tokio::spawn(async move {
        loop {
            let frame = body.frame().await;
            // A stream that broke shows in its response.
            if !pass_on(frame, &body, &mut stream).unwrap_or(false) {
                return;
            }
        }
    });
    Ok(())
}

/// Whether there is more to come.
fn pass_on(
    frame: Option<Result<Frame<Bytes>, Status>>,
    body: &Body,
    stream: &mut SendStream<Bytes>,
) -> Result<bool, Status> {
    let (data, ended) = match frame.transpose()? {
        Some(frame) => (frame.into_data().unwrap_or_default(), body.is_end_stream()),
        None => (Bytes::new(), true),
    };
    stream.send_data(data, ended).map_err(broken)?;
    Ok(!ended)
}

fn broken(error: h2::Error) -> Status {
    Status::unavailable(error.to_string())
}

impl tonic::codegen::Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.requests.poll_ready(cx).map_err(broken)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = request.extensions().get::<Deadline>().copied();
        let call = self.clone().call(request);
        Box::pin(async move {
            match deadline {
                None => call.await,
                Some(Deadline(deadline)) => tokio::time::timeout(deadline, call)
                    .await
                    .map_err(|_| Status::deadline_exceeded(format!("no answer within {deadline:?}")))?,
            }
        })
    }
}

/// A response's body.
#[derive(Debug)]
pub struct Incoming {
    stream: RecvStream,
    ended: bool,
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if !self.ended {
            match std::task::ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    let released = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(released.map(|()| Frame::data(data)).map_err(broken)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(error)))),
                None => self.ended = true,
            }
        }
        let trailers: Result<Option<HeaderMap>, _> = std::task::ready!(self.stream.poll_trailers(cx));
        Poll::Ready(
            trailers
                .map_err(broken)
                .transpose()
                .map(|found| found.map(Frame::trailers)),
        )
    }
}

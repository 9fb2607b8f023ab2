//! The client against a server on a port, which answers as it is told.

mod answers;
mod calls;
mod servers;
mod tls;

use super::*;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const NOW: u64 = 1_800_000_000;

/// What a server answers to a query: a status, headers and a body, or nothing at all.
#[derive(Clone)]
enum Answer {
    Body(StatusCode, Vec<(&'static str, &'static str)>, Bytes),
    Silence,
}

/// A call as it arrived.
#[derive(Clone, Debug)]
struct Call {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    form: BTreeMap<String, String>,
}

type Calls = Arc<Mutex<Vec<Call>>>;

/// A server that answers each call with `answer`, made from the query, until the runtime ends.
async fn serve(
    tls: Option<ServerConfig>,
    answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
) -> (u16, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let (calls, answer) = (Calls::default(), Arc::new(answer));
    let seen = Arc::clone(&calls);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, answer, calls) = (acceptor.clone(), Arc::clone(&answer), Arc::clone(&seen));
            tokio::spawn(async move {
                match acceptor {
                    None => connection(stream, answer, calls).await,
                    // A handshake that fails is what some of the tests are about.
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            connection(stream, answer, calls).await;
                        }
                    }
                }
            });
        }
    });
    (port, calls)
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    answer: Arc<impl Fn(&str) -> Answer + Send + Sync + 'static>,
    calls: Calls,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, calls) = (Arc::clone(&answer), Arc::clone(&calls));
        async move {
            let call = Call::of(request).await;
            let answer = answer(&call.form["query"]);
            calls.lock().unwrap().push(call);
            match answer {
                Answer::Silence => std::future::pending().await,
                Answer::Body(status, headers, body) => {
                    let mut response = Response::builder().status(status);
                    for (name, value) in headers {
                        response = response.header(name, value);
                    }
                    response.body(Full::new(body))
                }
            }
        }
    });
    // A client that leaves in the middle is what some of the tests are about.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Call {
    async fn of(request: Request<Incoming>) -> Self {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.to_string(), value.to_str().unwrap().to_owned())
        };
        Self {
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers: head.headers.iter().map(text).collect(),
            form: form_urlencoded::parse(&body).into_owned().collect(),
        }
    }
}

fn server(url: String) -> Server {
    Server {
        url,
        authorization: None,
        tenant: None,
        ca_bundle: None,
        client_certificate: None,
        timeout: Duration::from_secs(20),
    }
}

fn question(query: &str) -> Question {
    Question {
        query: query.to_owned(),
        age_query: None,
        max_age_seconds: 60,
    }
}

fn ok(body: &str) -> Answer {
    Answer::Body(StatusCode::OK, Vec::new(), Bytes::from(body.to_owned()))
}

fn status(code: u16, body: &str) -> Answer {
    Answer::Body(
        StatusCode::from_u16(code).unwrap(),
        Vec::new(),
        Bytes::from(body.to_owned()),
    )
}

fn vector(samples: &str) -> Answer {
    ok(&format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#
    ))
}

fn value(value: &str) -> Answer {
    vector(&format!(r#"{{"metric":{{}},"value":[{NOW}.25,"{value}"]}}"#))
}

async fn asked(answer: Answer) -> Result<u64, QueryError> {
    let (port, _) = serve(None, move |_| answer.clone()).await;
    let mut server = server(format!("http://127.0.0.1:{port}"));
    server.timeout = Duration::from_millis(1500);
    server.client().unwrap().count(&question("q"), NOW).await
}

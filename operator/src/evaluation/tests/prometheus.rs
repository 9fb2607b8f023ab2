//! A server on a port that answers like a Prometheus which scrapes one broker.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

/// What it has scraped.
#[derive(Clone)]
pub struct Scraped {
    /// Ready messages, as it writes the number; without a sample if none.
    pub ready: Option<String>,
    /// Seconds since.
    pub age: u64,
    /// The age of the oldest message, in milliseconds.
    pub oldest: Option<u64>,
    /// Queues that the group reads.
    pub queues: Option<u64>,
    /// Messages of single queues that are not done; none where brokers do not report them.
    pub by_queue: Vec<u64>,
    /// Of a database.
    pub load: Option<u64>,
    /// Who may ask; anybody if none.
    pub token: Option<&'static str>,
    /// Where queries wait for each other that are answered only together.
    together: Arc<Barrier>,
}

/// The server.
#[derive(Clone)]
pub struct Prometheus {
    /// Its address.
    pub url: String,
    scraped: Arc<Mutex<Scraped>>,
}

impl Prometheus {
    /// Serves until the runtime ends: so many ready messages in 8 queues.
    pub async fn serve(ready: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scraped = Arc::new(Mutex::new(Scraped {
            ready: Some(ready.to_owned()),
            age: 1,
            oldest: Some(7_999),
            queues: Some(8),
            by_queue: Vec::new(),
            load: Some(10),
            token: None,
            together: Arc::new(Barrier::new(3)),
        }));
        let answers = Arc::clone(&scraped);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answers = Arc::clone(&answers);
                let service = service_fn(move |request: Request<Incoming>| {
                    let scraped = answers.lock().clone();
                    async move { answer(&scraped, request).await }
                });
                tokio::spawn(async move {
                    // The client closes when the test ends.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { url, scraped }
    }

    /// Changes what it has scraped.
    pub fn scrape(&self, change: impl FnOnce(&mut Scraped)) {
        change(&mut self.scraped.lock());
    }
}

async fn answer(scraped: &Scraped, request: Request<Incoming>) -> http::Result<Response<Full<Bytes>>> {
    let given = request
        .headers()
        .get("authorization")
        .and_then(|value| value.to_str().ok().map(str::to_owned));
    if let Some(token) = scraped.token
        && given != Some(format!("Bearer {token}"))
    {
        return Response::builder().status(401).body(Full::default());
    }
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let query = form_urlencoded::parse(&body)
        .find(|(name, _)| name == "query")
        .unwrap()
        .1
        .into_owned();
    if query.contains("rocketmq_") {
        // Other clusters may have a group of the same name, and brokers have.
        assert!(query.contains(r#"cluster="main",namespace=~"|shop""#), "{query}");
    }
    if query == "together" {
        scraped.together.wait().await;
    }
    let value = match &*query {
        query if query.starts_with("time()") => Some(scraped.age.to_string()),
        query if query.contains("rocketmq_consumer_inflight_messages") => {
            scraped.ready.as_ref().map(|_| "0".to_owned())
        }
        query if query.contains("rocketmq_consumer_lag_latency_milliseconds") => {
            scraped.oldest.map(|age| age.to_string())
        }
        // The queues of the topics that the group reads.
        query if query.contains("rocketmq_topic_queue_number") => {
            assert!(!query.contains("orders"), "{query}");
            scraped.queues.map(|queues| queues.to_string())
        }
        query if query.contains("rocketmq_consumer_ready_messages") => scraped.ready.clone(),
        "together" => Some("1".to_owned()),
        "vector(60000)" => Some("60000".to_owned()),
        "db_load" => scraped.load.map(|load| load.to_string()),
        _ => None,
    };
    let now = k8s_openapi::jiff::Timestamp::now().as_second();
    let sample = value
        .map(|value| format!(r#"{{"metric":{{}},"value":[{now},"{value}"]}}"#))
        .unwrap_or_default();
    let of_queue = |(number, lag): (usize, &u64)| {
        format!(
            r#"{{"metric":{{"node_id":"main","topic":"orders","queue_id":"{number}"}},"value":[{now},"{lag}"]}}"#
        )
    };
    let sample = match query.contains("rocketmq_consumer_queue_lag_messages") {
        true => scraped
            .by_queue
            .iter()
            .enumerate()
            .map(of_queue)
            .collect::<Vec<_>>()
            .join(","),
        false => sample,
    };
    let body = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{sample}]}}}}"#);
    Response::builder().status(200).body(Full::new(Bytes::from(body)))
}

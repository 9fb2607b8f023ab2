//! A server that answers each path in its own way: as a Prometheus does that is well, wrong, slow, guarded or none at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Longer than any query may take.
const NEVER: Duration = Duration::from_secs(600);

/// How many messages wait and how many queues there are, where nothing is wrong.
pub const HEALTHY: i32 = 7;

/// The server; it ends with the runtime.
pub struct Answers {
    port: u16,
    /// The value that a path answers every query with.
    values: Arc<Mutex<HashMap<String, String>>>,
}

impl Answers {
    pub async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let values = Arc::<Mutex<HashMap<String, String>>>::default();
        let said = Arc::clone(&values);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let said = Arc::clone(&said);
                // Who asks may be gone before the answer.
                tokio::spawn(async move { answer(stream, &said).await });
            }
        });
        Self { port, values }
    }

    /// The address to put before `/api/v1/query`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// From now on the path has this value for every query.
    pub fn say(&self, path: &str, value: &str) {
        self.values.lock().insert(path.to_owned(), value.to_owned());
    }
}

async fn answer(stream: TcpStream, said: &Mutex<HashMap<String, String>>) -> Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let read = stream.read_line(&mut head).await?;
        anyhow::ensure!(read > 0, "the request breaks off");
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.context("no length")?.trim().parse()?;
    let mut form = vec![0; length];
    stream.read_exact(&mut form).await?;
    let path = head.split_whitespace().nth(1).context("no path")?;
    let path = path.trim_end_matches("/api/v1/query");
    let value = said.lock().get(path).cloned();
    if path == "/slow" {
        tokio::time::sleep(NEVER).await;
    }
    let (status, body) = page(path, &head, &String::from_utf8_lossy(&form), value);
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nlocation: /elsewhere\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    Ok(stream.flush().await?)
}

/// The status and the body.
fn page(path: &str, head: &str, form: &str, value: Option<String>) -> (&'static str, String) {
    // How old samples are is asked in seconds.
    let is_age = form.contains("query=time%28%29");
    let healthy = if is_age {
        "1".to_owned()
    } else {
        HEALTHY.to_string()
    };
    let values: &[&str] = match path {
        "/nan" => &["NaN"],
        "/infinite" => &["+Inf"],
        "/negative" => &["-1"],
        "/empty" => &[],
        "/several" => &["1", "2"],
        "/stale" if is_age => &["4000"],
        "/token" if !head.contains("authorization: bearer s3cret") => {
            return ("401 Unauthorized", String::new());
        }
        "/tenant" if !head.contains("x-scope-orgid: shop") => return ("403 Forbidden", String::new()),
        "/refused" => {
            let body = r#"{"status":"error","errorType":"bad_data","error":"parse error: unclosed left parenthesis"}"#;
            return ("400 Bad Request", body.to_owned());
        }
        "/moved" => return ("302 Found", String::new()),
        "/page" => return ("200 OK", "<html>welcome</html>".to_owned()),
        "/broken" => return ("503 Service Unavailable", "no backend".to_owned()),
        _ => match &value {
            Some(value) => return ("200 OK", vector(&[value])),
            None => &[&healthy],
        },
    };
    ("200 OK", vector(values))
}

fn vector(values: &[&str]) -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let now = since.as_secs();
    let samples: Vec<_> = values
        .iter()
        .zip(0..)
        .map(|(value, number)| format!(r#"{{"metric":{{"number":"{number}"}},"value":[{now},"{value}"]}}"#))
        .collect();
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#,
        samples.join(",")
    )
}

//! What is believed of an answer.

use super::*;
use crate::prometheus::client::BODY_BYTES_MAX;

#[tokio::test]
async fn one_sample_that_is_a_number_is_an_answer() {
    let scalar = format!(r#"{{"status":"success","data":{{"resultType":"scalar","result":[{NOW},"7"]}}}}"#);
    let warned = format!(
        r#"{{"status":"success","warnings":["w"],"infos":["i"],"data":{{"resultType":"vector","stats":{{}},"result":[{{"metric":{{}},"value":[{NOW},"7"]}}]}}}}"#
    );
    for (answer, wanted) in [
        (value("60000"), 60_000),
        (value("0"), 0),
        (value("6.5e3"), 6500),
        (value("2.1"), 3),
        (ok(&scalar), 7),
        (ok(&warned), 7),
    ] {
        assert_eq!(asked(answer).await, Ok(wanted));
    }
}

/// Asks a server with each answer, which is an error of that kind with these words.
async fn refused(rows: Vec<(Answer, ErrorKind, &str)>) {
    for (answer, kind, words) in rows {
        let error = asked(answer).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.to_string().contains(words), "{error} has not {words:?}");
        assert!(error.to_string().starts_with("http://127.0.0.1:"), "{error}");
    }
}

#[tokio::test]
async fn anything_but_one_number_is_an_error() {
    use ErrorKind::*;
    let histogram = r#"{"metric":{},"histogram":[1,{"count":"1","sum":"2","buckets":[]}]}"#;
    let two = r#"{"metric":{"a":"1"},"value":[1,"1"]},{"metric":{"a":"2"},"value":[1,"1"]}"#;
    let old = r#"{"metric":{},"value":[1799999939,"5"]}"#;
    let data = |kind: &str, result: &str| {
        ok(&format!(
            r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#
        ))
    };
    let matrix = data("matrix", r#"[{"metric":{},"values":[[1,"1"]]}]"#);
    let rows = vec![
        (vector(""), Empty, "no sample: check that the series exist"),
        (
            vector(two),
            Several,
            "2 samples where one is wanted: sum over the series",
        ),
        (value("NaN"), NotANumber, "the value is NaN"),
        (value("+Inf"), NotANumber, "the value is +Inf"),
        (value("-Inf"), NotANumber, "the value is -Inf"),
        (value("-1"), NotANumber, "-1 is no number of anything"),
        (value("1e300"), NotANumber, "is no number of anything"),
        (value("many"), Malformed, "its value many is no number"),
        (vector(old), Stale, "the sample is older than 60 s"),
        (vector(histogram), Refused, "a histogram where a number is wanted"),
        (matrix, Refused, "a range of values where a number is wanted"),
        (
            data("string", r#"[1,"a"]"#),
            Refused,
            "a text where a number is wanted",
        ),
        (data("vector", r#"[{"value":1}]"#), Malformed, "not Prometheus's"),
        (data("other", "[]"), Malformed, "not Prometheus's"),
    ];
    refused(rows).await;
}

#[tokio::test]
async fn what_a_server_refuses_is_told_in_its_words() {
    use ErrorKind::*;
    let error =
        |kind: &str, text: &str| format!(r#"{{"status":"error","errorType":"{kind}","error":"{text}"}}"#);
    let bad = error("bad_data", r"parse error: unexpected\n end");
    let rows = vec![
        (
            ok(&bad),
            Refused,
            "it says bad_data: parse error: unexpected  end: correct the query",
        ),
        (status(400, &bad), Refused, "it says bad_data: parse error"),
        (
            status(422, &error("execution", "many-to-many")),
            Refused,
            "many-to-many",
        ),
        (
            status(503, &error("timeout", "query timed out")),
            Slow,
            "it says timeout: query timed out",
        ),
        (
            status(503, &error("unavailable", "starting")),
            Status,
            "it says unavailable: starting",
        ),
        (
            status(500, "<html>"),
            Status,
            "it answers 500 Internal Server Error",
        ),
        (
            status(404, ""),
            Status,
            "it answers 404 Not Found: check its address",
        ),
        (
            status(401, &bad),
            Unauthorized,
            "it answers 401 Unauthorized: check the credentials",
        ),
        (status(403, ""), Unauthorized, "it answers 403 Forbidden"),
    ];
    refused(rows).await;
}

#[tokio::test]
async fn what_is_no_prometheus_is_an_error() {
    use ErrorKind::*;
    let location = vec![("location", "https://login.example/x")];
    let redirect = Answer::Body(StatusCode::FOUND, location, Bytes::new());
    let rows = vec![
        (
            redirect,
            Redirected,
            "redirects (302 Found) to https://login.example/x: give the address",
        ),
        (ok("<html>"), Malformed, "its answer is not Prometheus's"),
        (ok(""), Malformed, "its answer is not Prometheus's"),
        (ok(r#"{"status":"success"}"#), Malformed, "its answer has no data"),
        (
            ok(&" ".repeat(BODY_BYTES_MAX + 1)),
            TooLarge,
            "its answer is longer than 4194304 bytes",
        ),
        (Answer::Silence, Slow, "no answer within 1500 ms"),
    ];
    refused(rows).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let client = server(format!("http://127.0.0.1:{port}")).client().unwrap();
    let error = client.vector("q").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable);
    assert!(
        error.to_string().contains("onnection refused"),
        "the cause is told: {error}"
    );
}

#[tokio::test]
async fn a_body_that_ends_too_early_or_never_is_no_answer() {
    for (sent, kind) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\"",
            ErrorKind::Unreachable,
        ),
        ("not HTTP at all\r\n\r\n", ErrorKind::Unreachable),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            tokio::io::AsyncReadExt::read(&mut stream, &mut request)
                .await
                .unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, sent.as_bytes())
                .await
                .unwrap();
        });
        let client = server(format!("http://127.0.0.1:{port}")).client().unwrap();
        let error = client.vector("q").await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
    }
}

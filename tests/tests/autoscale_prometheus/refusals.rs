//! Queries without one number.

use sluice_operator::prometheus::{ErrorKind, Question, Selection};
use sluice_tests::process::Setup;
use sluice_tests::prometheus::Prometheus;

use crate::scraped::{backlog, becomes, count, now, queries, question, twice, wait_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_number_is_told_as_prometheus_has_it() {
    let broker = Setup::new().start().unwrap();
    let prometheus = Prometheus::start(&twice(&broker)).unwrap();
    let queries = queries(&prometheus);
    becomes(&queries, "sum(up)", 2).await;
    let nobody = Selection::new("nobody", &[]).unwrap();
    for (query, kind) in [
        (nobody.ready(), ErrorKind::Empty),
        ("up".to_owned(), ErrorKind::Several),
        ("sum(up) / 0".to_owned(), ErrorKind::NotANumber),
        ("sum(up) * NaN".to_owned(), ErrorKind::NotANumber),
        ("-sum(up)".to_owned(), ErrorKind::NotANumber),
        ("sum(".to_owned(), ErrorKind::Refused),
        ("up[1m]".to_owned(), ErrorKind::Refused),
        ("\"a text\"".to_owned(), ErrorKind::Refused),
        ("up * on () up".to_owned(), ErrorKind::Refused),
    ] {
        let error = queries.count(&question(query.clone()), now()).await.unwrap_err();
        assert_eq!(error.kind, kind, "{query}: {error}");
    }
    assert_eq!(count(&queries, "scalar(sum(up))".to_owned()).await, Some(2));

    // Long before the samples are forgotten, they are too old for whoever asks for fresh ones.
    let old = Question {
        age_query: Some("time() - min(timestamp(up)) + 60".to_owned()),
        ..question("sum(up)".to_owned())
    };
    let error = queries.count(&old, now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Stale, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_that_is_gone_has_no_lag_and_not_one_of_zero() {
    let mut broker = Setup::new().start().unwrap();
    let prometheus = Prometheus::start(&twice(&broker)).unwrap();
    let queries = queries(&prometheus);
    backlog(&broker).await;
    let ready = Selection::new("other", &[]).unwrap().ready();
    wait_for(&queries, &ready, |found| found.is_ok()).await;
    broker.kill().unwrap();
    wait_for(&queries, &ready, |found| found == Err(ErrorKind::Empty)).await;
    drop(prometheus);
    let error = queries.count(&question(ready), now()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

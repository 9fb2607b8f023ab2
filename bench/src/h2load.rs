//! A request for h2load, the leanest load there is, and percentiles from its log.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use prost::Message as _;

use crate::args::{H2loadDataArgs, H2loadReportArgs, Target};
use crate::client::connect;
use crate::message::Maker;
use crate::produce::send;
use crate::report::{Recorder, Report};
use crate::units::micros;

/// gRPC's frame: one byte for compression, four for the length.
const GRPC_HEADER_BYTES: usize = 5;
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes the request, sends it once and prints the command line that repeats it.
///
/// # Errors
/// When the file cannot be written, or the server does not accept the request.
pub async fn write_request(args: &H2loadDataArgs) -> Result<()> {
    let request = Maker::new(&args.topic, &args.shape)?.make(0, None);
    std::fs::write(&args.out, grpc_frame(&request)?)
        .with_context(|| format!("cannot write the request to {}", args.out.display()))?;
    if args.no_check {
        eprintln!("not checked: h2load cannot tell whether the server accepts this request");
    } else {
        let target = Target {
            endpoint: args.endpoint.clone(),
            tls: args.tls,
            connections: 1,
            request_timeout: CHECK_TIMEOUT,
            topic: args.topic.clone(),
        };
        let mut client = connect(&target).await?.remove(0);
        let response = send(&mut client, request, CHECK_TIMEOUT)
            .await
            .with_context(|| format!("server {} refuses the request h2load would send", args.endpoint))?;
        eprintln!(
            "accepted by {}, which answers {} bytes of data; h2load's \"data\" by request must be that, or up to 9 more as \
             offsets grow",
            args.endpoint,
            response.encoded_len() + GRPC_HEADER_BYTES,
        );
    }
    println!("{}", command_line(args));
    Ok(())
}

fn grpc_frame(request: &impl prost::Message) -> Result<Vec<u8>> {
    let length = u32::try_from(request.encoded_len()).context("the request exceeds 4 GiB")?;
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    request.encode(&mut frame)?;
    Ok(frame)
}

fn command_line(args: &H2loadDataArgs) -> String {
    let scheme = if args.tls { "https" } else { "http" };
    format!(
        "h2load -c {} -m {} -t 1 -n {} -d {} --log-file={}.log \
         -H 'content-type: application/grpc' -H 'te: trailers' \
         -H 'x-mq-client-id: h2load' -H 'x-mq-language: RUST' -H 'x-mq-protocol: v2' \
         {scheme}://{}/apache.rocketmq.v2.MessagingService/SendMessage",
        args.connections,
        args.in_flight,
        args.requests,
        args.out.display(),
        args.out.display(),
        args.endpoint,
    )
}

/// Computes the report from a log of h2load.
///
/// # Errors
/// When the file cannot be read or a line is not h2load's.
pub fn report(args: &H2loadReportArgs) -> Result<Report> {
    let file = File::open(&args.file).with_context(|| format!("cannot open {}", args.file.display()))?;
    read_log(BufReader::new(file), args.skip).with_context(|| format!("in {}", args.file.display()))
}

/// One line of the log.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    start_us: u64,
    status: i32,
    duration_us: u64,
}

fn parse(line: &str) -> Option<Request> {
    let mut fields = line.split('\t');
    let request = Request {
        start_us: fields.next()?.parse().ok()?,
        status: fields.next()?.parse().ok()?,
        duration_us: fields.next()?.trim_end().parse().ok()?,
    };
    fields.next().is_none().then_some(request)
}

fn read_log(log: impl BufRead, skip: Duration) -> Result<Report> {
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(log.lines()) {
        let line = line?;
        requests.push(parse(&line).ok_or_else(|| {
            anyhow!("line {number} is {line:?}, not \"start us, status, duration us\" with tabs between")
        })?);
    }
    ensure!(
        !requests.is_empty(),
        "the log is empty: did h2load run with --log-file?"
    );
    // Lines come in the order of the answers.
    let first = requests.iter().map(|request| request.start_us).min().unwrap_or(0);
    let from = first + micros(skip);
    requests.retain(|request| request.start_us >= from);
    let end = requests
        .iter()
        .map(|request| request.start_us + request.duration_us)
        .max()
        .unwrap_or(from);
    let mut recorder = Recorder::new()?;
    for request in requests {
        if request.status == 200 {
            recorder.record(Duration::from_micros(request.duration_us));
        } else {
            recorder.fail(format!("http {}", request.status));
        }
    }
    let mut report = Report::new("h2load", Duration::from_micros(end - from));
    report.add("send", &recorder);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_proto::v2::{SendMessageRequest, SendMessageResponse};

    fn read(log: &str, skip: Duration) -> Result<Report> {
        read_log(log.as_bytes(), skip)
    }

    #[test]
    fn a_log_gives_rate_percentiles_and_failures() {
        let mut log: String = (0..100)
            .map(|n| format!("{}\t200\t{}\n", 1_000_000 + n * 10_000, 1000 + n))
            .collect();
        log.push_str("1500000\t-1\t5\n");
        let report = read(&log, Duration::ZERO).unwrap();
        let send = report.latencies["send"];
        assert_eq!((send.count, send.p50_us, send.max_us), (100, 1049, 1099));
        assert_eq!(report.errors["send: http -1"], 1);
        assert!((report.seconds - 0.991_099).abs() < 1e-9, "{}", report.seconds);
        let later = read(&log, Duration::from_millis(500)).unwrap();
        assert_eq!(later.latencies["send"].count, 50);
    }

    #[test]
    fn lines_that_are_not_h2loads_are_refused_by_number() {
        for line in ["", "1\t200", "1\t200\t5\t6", "a\t200\t5"] {
            let error = read(&format!("1\t200\t5\n{line}\n"), Duration::ZERO).unwrap_err();
            assert!(error.to_string().starts_with("line 2 "), "{error}");
        }
        assert!(read("", Duration::ZERO).is_err());
    }

    #[test]
    fn a_request_is_framed_as_grpc_does() {
        assert_eq!(grpc_frame(&SendMessageResponse::default()).unwrap(), [0; 5]);
        let request = SendMessageRequest {
            messages: vec![Default::default(); 3],
        };
        assert_eq!(
            grpc_frame(&request).unwrap(),
            [0, 0, 0, 0, 6, 10, 0, 10, 0, 10, 0]
        );
    }
}

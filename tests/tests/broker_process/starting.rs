//! Flags and the first start.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use sluice_tests::admin::Authority;
use sluice_tests::binaries;
use sluice_tests::client::{Client, Transport, code};
use sluice_tests::process::{LONG, Setup};
use sluice_tests::sluicectl::Sluicectl;
use sluice_tests::wait;

use crate::traffic::{SOON, consume, numbered, send};

#[test]
fn a_first_start_with_default_flags_is_ready_at_once() {
    let mut broker = Setup::new().start().unwrap();
    broker.kill().unwrap();
    std::fs::remove_dir_all(broker.data_dir()).unwrap();
    let ready_after = broker.restart().unwrap();
    println!("ready after {ready_after:?}");
    assert!(ready_after < Duration::from_secs(5), "{ready_after:?}");
}

#[test]
fn an_empty_broker_takes_at_most_64_mib_of_disk() {
    let broker = Setup::new().start().unwrap();
    // Space is made ahead of use, beside the start: what counts is what it comes to.
    let (mut bytes, mut since) = (0, Instant::now());
    wait::until("the size stands still", SOON, || {
        let now = disk_bytes(broker.data_dir());
        if now != std::mem::replace(&mut bytes, now) {
            since = Instant::now();
        }
        Ok((since.elapsed() > Duration::from_secs(2)).then_some(()))
    })
    .unwrap();
    let mebibytes = bytes >> 20;
    println!("an empty data folder takes {mebibytes} MiB");
    assert!((1..=64).contains(&mebibytes), "{mebibytes} MiB");
}

/// What the files in a folder take on the disk.
fn disk_bytes(folder: &Path) -> u64 {
    let mut blocks = 0;
    // A file may go while it is looked at.
    for_each_file(folder, &mut |path| {
        blocks += path.metadata().map_or(0, |metadata| metadata.blocks())
    });
    blocks * 512
}

fn for_each_file(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_file(&path, visit);
        } else {
            visit(&path);
        }
    }
}

#[test]
fn flags_that_cannot_work_end_with_code_2_and_the_reason() {
    for (name, value, reason) in [
        ("--no-such-flag", "1", "--no-such-flag"),
        ("--flush", "sometimes", "sometimes"),
        ("--segment-size", "12parsecs", "12parsecs"),
        ("--segment-size", "1000000", "multiple of 4096"),
        ("--checkpoint-seconds", "0", "--checkpoint-seconds"),
        ("--broker-name", "../up", "../up"),
        ("--advertise", "nowhere", "port is missing"),
        ("--tls-cert", "only.pem", "--tls-key"),
    ] {
        let mut broker = Setup::new().flag(name, value).spawn().unwrap();
        let status = broker.wait_for_end().unwrap();
        let log = broker.log().unwrap();
        assert_eq!(status.code(), Some(2), "{name} {value}: {log}");
        assert!(
            log.contains(reason),
            "{name} {value} should say {reason:?}: {log}"
        );
    }
}

#[test]
fn what_is_to_be_logged_is_refused_where_it_cannot_be_followed() {
    for directives in ["bogus", "info,x=y=z"] {
        let setup = Setup::new().environment("SLUICE_LOG", directives);
        let mut broker = setup.spawn().unwrap();
        let status = broker.wait_for_end().unwrap();
        let log = broker.log().unwrap();
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(
            log.contains("SLUICE_LOG") && log.contains("'info,sluice_store=debug'"),
            "{log}"
        );
    }
}

#[test]
fn a_file_for_init_that_cannot_be_followed_ends_the_start_and_is_named() {
    for (setup, reason) in [
        (
            Setup::new().init("topics:\n  - {name: orders, queus: 3}\n"),
            "did you mean 'queues'",
        ),
        (Setup::new().init("topics: 7\n"), "init.yaml"),
        (
            Setup::new().flag("--init", "/no/such/file.yaml"),
            "cannot read /no/such/file.yaml: No such file or directory (os error 2)\n",
        ),
    ] {
        let mut broker = setup.spawn().unwrap();
        let status = broker.wait_for_end().unwrap();
        let log = broker.log().unwrap();
        assert_eq!(status.code(), Some(2), "{log}");
        assert!(log.contains(reason), "the log should say {reason:?}: {log}");
    }
}

#[test]
fn a_second_broker_on_the_same_folder_is_refused() {
    let first = Setup::new().start().unwrap();
    let mut second = Setup::new().spawn_over(first.data_dir()).unwrap();
    let status = second.wait_for_end().unwrap();
    let log = second.log().unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    let folder = first.data_dir().display().to_string();
    let holder = format!("sluice-broker, process {}", first.id().unwrap());
    for part in [
        "in use by another process",
        &folder,
        &holder,
        "stop it",
        "--data-dir",
    ] {
        assert!(log.contains(part), "the refusal should say {part}: {log}");
    }
    assert!(first.is_ready().unwrap(), "the first broker is not harmed");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--grpc-listen", "--admin-listen", "--http-listen"] {
        let mut broker = Setup::new().instead(flag, &address).spawn().unwrap();
        let status = broker.wait_for_end().unwrap();
        let log = broker.log().unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains(&address), "the refusal should name {address}: {log}");
        assert_eq!(
            log.matches("os error").count(),
            1,
            "the cause is said once: {log}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_and_plaintext_share_a_port_and_the_certificate_is_made_once() {
    let mut broker = Setup::new().start().unwrap();
    let certificate = broker.data_dir().join("tls.crt");
    let key = certificate.with_extension("key");
    let made = (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap());
    assert_eq!(
        key.metadata().unwrap().permissions().mode() & 0o777,
        0o600,
        "the key is for its owner alone"
    );

    let encrypted = Client::with(&broker.endpoint(), Transport::Tls).unwrap();
    let plain = Client::with(&broker.endpoint(), Transport::Plaintext).unwrap();
    send(&encrypted, "orders", &numbered(0..5)).await;
    send(&plain, "orders", &numbered(5..10)).await;
    assert_eq!(consume(&plain, "readers", "orders", 10).await, numbered(0..10));
    assert_eq!(consume(&encrypted, "others", "orders", 10).await, numbered(0..10));

    assert!(broker.stop().unwrap().success());
    broker.restart().unwrap();
    assert_eq!(
        (std::fs::read(&certificate).unwrap(), std::fs::read(&key).unwrap()),
        made
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn init_makes_what_is_absent_and_leaves_what_is_there() {
    let mut broker = Setup::new()
        .init("topics:\n  - {name: orders, queues: 2}\n")
        .start()
        .unwrap();
    let client = Client::new(&broker.endpoint()).unwrap();
    assert_eq!(
        client.query_route("orders").await.unwrap().message_queues.len(),
        2
    );

    assert!(broker.stop().unwrap().success());
    broker
        .rewrite_init("topics:\n  - {name: orders, queues: 5}\n  - {name: bills, queues: 3}\n")
        .unwrap();
    broker.restart().unwrap();

    let log = broker.log().unwrap();
    assert!(log.contains("queues is 2, and 5 in the file"), "{log}");
    for (topic, count) in [("orders", 2), ("bills", 3)] {
        let route = client.query_route(topic).await.unwrap();
        assert_eq!(route.message_queues.len(), count, "{topic}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_on_first_use_only_where_that_is_wanted() {
    use sluice_proto::v2::Code;
    for (flag, expected) in [("true", Code::Ok), ("false", Code::TopicNotFound)] {
        let broker = Setup::new().flag("--auto-create-topics", flag).start().unwrap();
        let client = Client::new(&broker.endpoint()).unwrap();
        let route = client.query_route("orders").await.unwrap();
        assert_eq!(
            code(route.status.as_ref()),
            Some(expected),
            "--auto-create-topics {flag}"
        );
    }
}

#[test]
fn the_process_says_that_it_lives_and_is_ready() {
    let broker = Setup::new().start().unwrap();
    wait::until("livez answers", SOON, || {
        let answer = sluice_tests::http::get(broker.http_port(), "/livez")?;
        Ok((answer.status == 200).then_some(()))
    })
    .unwrap();
    assert!(broker.is_ready().unwrap());
    assert_eq!(
        sluice_tests::http::get(broker.http_port(), "/no-such-page")
            .unwrap()
            .status,
        404
    );
}

#[test]
fn a_port_that_is_taken_is_named_with_its_flag_and_nothing_is_left_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--grpc-listen", "--admin-listen", "--http-listen"] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut broker = Setup::new().instead(flag, &address).spawn_over(&data).unwrap();
        assert!(!broker.wait_for_end().unwrap().success());
        let log = broker.log().unwrap();
        for part in [flag, &address, "Address already in use"] {
            assert!(log.contains(part), "{part} in {log}");
        }
        assert!(!data.exists(), "{flag}: the start has written");
    }
}

#[test]
fn a_data_folder_that_cannot_be_used_is_named_with_what_to_do() {
    let mut broker = Setup::new().spawn_over(Path::new("/dev/null/data")).unwrap();
    assert!(!broker.wait_for_end().unwrap().success());
    let log = broker.log().unwrap();
    for part in ["/dev/null/data", "the user that the broker runs as", "--data-dir"] {
        assert!(log.contains(part), "{part} in {log}");
    }
}

#[test]
fn a_start_with_the_name_of_another_cluster_names_the_flag_and_the_name_that_fit() {
    let mut broker = Setup::new().start().unwrap();
    assert!(broker.stop().unwrap().success());
    let mut other = Setup::new()
        .flag("--cluster-name", "elsewhere")
        .spawn_over(broker.data_dir())
        .unwrap();
    assert!(!other.wait_for_end().unwrap().success());
    let log = other.log().unwrap();
    let hint = "not elsewhere: start with --cluster-name DefaultCluster";
    assert!(log.contains(hint), "{hint} in {log}");
    broker.restart().unwrap();
}

#[test]
fn a_start_without_the_folder_of_the_log_makes_none() {
    let mut broker = Setup::new().start().unwrap();
    assert!(broker.stop().unwrap().success());
    let folder = broker.shard_dir().join("log");
    std::fs::remove_dir_all(&folder).unwrap();
    broker.restart().unwrap_err();
    broker.wait_for_end().unwrap();
    let log = broker.log().unwrap();
    assert!(log.contains("Nothing was changed"), "{log}");
    assert!(!folder.exists(), "the start has made it: {log}");
}

#[test]
fn small_segments_bound_bodies_and_the_start_and_the_refusal_say_so() {
    let broker = Setup::new().flag("--segment-size", "1MiB").start().unwrap();
    let log = broker.log().unwrap();
    let told = "a body has an eighth of a segment at most";
    assert!(log.contains("WARN") && log.contains(told), "{told} in {log}");
    let sluicectl = Sluicectl::of(&broker).unwrap();
    let send = |bytes| {
        let body = vec![b'x'; bytes];
        let arguments = ["message", "send", "orders", "-"];
        sluicectl.run_with_input(&arguments, &body).unwrap()
    };
    assert_eq!(send(131_072).code, 0);
    let refused = send(131_073).stderr;
    let part = "at most 131072 (an eighth of a segment of the broker's log";
    assert!(refused.contains(part), "{part} in {refused}");
    // Longer than any request that is read.
    let refused = send(20_000_000);
    assert!(
        refused.code == 2 && refused.stderr.contains("at most 4 MiB"),
        "{refused:?}"
    );
}

#[test]
fn an_expired_certificate_is_told_of_at_the_start_by_the_check_and_by_sluicectl() {
    let authority = Authority::new("operators").unwrap();
    let expired = authority.sign_expired("localhost").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (
        write("cert.pem", &expired.certificate),
        write("key.pem", &expired.key),
    );
    let ca = write("ca.pem", &authority.certificate);

    let broker = Setup::new()
        .flag("--tls-cert", &cert)
        .flag("--tls-key", &key)
        .start()
        .unwrap();

    let log = broker.log().unwrap();
    assert!(
        log.contains("WARN") && log.contains(&format!("the certificate in {cert} has expired on")),
        "{log}"
    );
    let check = std::process::Command::new(binaries::broker().unwrap())
        .args(["config", "check", "--tls-cert", &cert, "--tls-key", &key])
        .env_remove(LONG)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(
        check.status.code() == Some(2) && said.contains("has expired on") && said.contains("renew it"),
        "{said}"
    );
    let (_, port) = broker
        .admin_endpoint()
        .rsplit_once(':')
        .map(|(host, port)| (host.to_owned(), port.to_owned()))
        .unwrap();
    let said = Sluicectl::new()
        .unwrap()
        .run(&[
            "broker",
            "status",
            "--admin",
            &format!("localhost:{port}"),
            "--ca",
            &ca,
        ])
        .unwrap();
    assert!(
        said.code == 5
            && said
                .stderr
                .contains("hint: the broker's certificate has expired: renew it"),
        "{said:?}"
    );
}

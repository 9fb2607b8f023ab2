//! What goes wrong: exit codes, and errors that say what to do.

use serde_json::json;
use sluice_tests::ports;
use sluice_tests::process::Setup;
use sluice_tests::sluicectl::Sluicectl;

#[test]
fn a_dead_broker_is_5_and_the_hint_says_how_to_start_one() {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    let sluicectl = Sluicectl::new().unwrap().flag("--admin", &address);
    for arguments in [
        &["topic", "list"][..],
        &["topic", "create", "orders"],
        &["group", "lag", "readers"],
        &["client", "list"],
        &["message", "send", "orders", "hello"],
        &["message", "find", "orders"],
        &["broker", "status"],
        &["config", "get"],
        &["topic", "list", "--watch"],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 5, "{arguments:?}: {said:?}");
        assert!(
            said.stderr.contains(&address) && said.stderr.contains("refused"),
            "{said:?}"
        );
        assert!(
            said.stderr.contains("hint: start it with `sluice-broker`"),
            "{said:?}"
        );
        assert_eq!(said.stdout, "");
    }
}

#[test]
fn errors_are_json_on_standard_error_where_json_is_asked_for() {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    let sluicectl = Sluicectl::new().unwrap();
    let said = sluicectl
        .run(&["topic", "list", "--admin", &address, "-o", "json"])
        .unwrap();
    let error = said.error().unwrap();
    assert_eq!(
        (&error["kind"], &error["exit_code"]),
        (&json!("unreachable"), &json!(5))
    );
    assert_eq!(error["object"], json!(address));
    assert!(error["hint"].as_str().unwrap().contains("--admin"));
    let said = sluicectl.run(&["topic", "lisst", "-ojson"]).unwrap();
    assert_eq!((said.code, &said.error().unwrap()["kind"]), (2, &json!("usage")));
}

#[test]
fn what_cannot_be_followed_is_2_and_says_why() {
    let sluicectl = Sluicectl::new().unwrap();
    for (arguments, part) in [
        (&["topic"][..], "Usage"),
        (&["topic", "create"], "<NAME>"),
        (&["topic", "create", "x", "--queues", "0"], "0 is not in"),
        (
            &["topic", "create", "x", "--type", "delay"],
            "does not take messages of type delay yet",
        ),
        (
            &["topic", "create", "x", "--type", "transaction"],
            "type transaction yet",
        ),
        (
            &["topic", "create", "x", "--type", "round"],
            "normal, fifo and mixed",
        ),
        (&["topic", "update", "x"], "nothing is to be changed"),
        (&["group", "update", "x"], "nothing is to be changed"),
        (
            &["topic", "delete", "x", "--yes", "--if-empty"],
            "cannot be used with",
        ),
        (
            &["group", "reset", "g", "t", "--to", "yesterday"],
            "earliest, latest, offset:N, time:T and skip:N",
        ),
        (
            &["group", "reset", "g", "t", "--to", "time:tomorrow"],
            "milliseconds since 1970",
        ),
        (
            &["message", "find", "t", "--from", "noon"],
            "milliseconds since 1970",
        ),
        (
            &["message", "send", "t", "b", "--watch"],
            "--watch goes with commands that only show",
        ),
        (&["topic", "list", "--admin", "nowhere"], "write HOST:PORT"),
        (&["topic", "list", "--timeout", "soon"], "is no time span"),
        (&["topic", "list", "--token-file", "nosuch"], "nosuch"),
        (&["topic", "list", "--cert", "c.pem"], "--cert-key"),
        (&["config", "set", "log"], "KEY=VALUE"),
        (&["message", "get"], "<ID>"),
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.stderr.contains(part), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_port_that_is_no_admin_api_is_told_so() {
    let broker = Setup::new().start().unwrap();
    let sluicectl = Sluicectl::new().unwrap();
    let said = sluicectl
        .run(&["topic", "list", "--admin", &broker.endpoint()])
        .unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("does not serve this part of the admin API"),
        "{said:?}"
    );
    let http = format!("127.0.0.1:{}", broker.http_port());
    let said = sluicectl.run(&["topic", "list", "--admin", &http]).unwrap();
    assert_eq!(said.code, 5, "{said:?}");
}

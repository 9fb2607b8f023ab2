//! What goes wrong: exit codes, and errors that say what to do.

use serde_json::json;
use sluice_tests::ports;
use sluice_tests::process::Setup;
use sluice_tests::sluicectl::Sluicectl;

/// Every command that goes to a broker, said so that it can be followed.
const TO_A_BROKER: [&[&str]; 31] = [
    &["topic", "create", "orders"],
    &["topic", "update", "orders", "--queues", "8"],
    &["topic", "delete", "orders"],
    &["topic", "list"],
    &["topic", "show", "orders"],
    &["topic", "close", "orders"],
    &["topic", "open", "orders"],
    &["group", "create", "readers"],
    &["group", "update", "readers", "--max-attempts", "5"],
    &["group", "delete", "readers"],
    &["group", "list"],
    &["group", "show", "readers"],
    &["group", "lag", "readers"],
    &["group", "members", "readers"],
    &["group", "offsets", "readers"],
    &["group", "reset", "readers", "orders", "--to", "latest"],
    &["group", "stack", "readers"],
    &["group", "verify", "readers", "orders", "01AB"],
    &["client", "list"],
    &["client", "show", "somebody"],
    &["message", "send", "orders", "hello"],
    &["message", "receive", "readers", "orders"],
    &["message", "tail", "orders"],
    &["message", "get", "01AB"],
    &["message", "find", "orders"],
    &["broker", "status"],
    &["config", "get"],
    &["config", "set", "log=debug"],
    &["config", "reset", "log"],
    &["topic", "list", "--watch"],
    &["message", "send", "orders", "hello", "--count", "3"],
];
/// Commands that need none.
const WITHOUT_A_BROKER: [&str; 4] = ["autoscale", "context", "log", "completion"];

/// All commands that do something, as the help has them.
fn commands(sluicectl: &Sluicectl, of: &[&str], all: &mut Vec<Vec<String>>) {
    let help = sluicectl.ok(&[of, &["--help"]].concat()).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .filter_map(|line| line.split_whitespace().next());
    let names: Vec<_> = names.filter(|name| *name != "help").collect();
    if names.is_empty() {
        all.push(of.iter().map(|&word| word.to_owned()).collect());
    }
    for name in names {
        commands(sluicectl, &[of, &[name]].concat(), all);
    }
}

#[test]
fn every_command_is_known_to_need_a_broker_or_not() {
    let mut all = Vec::new();
    commands(&Sluicectl::new().unwrap(), &[], &mut all);
    assert!(all.len() > TO_A_BROKER.len(), "the help lists commands: {all:?}");
    for command in all {
        let needs_one = TO_A_BROKER
            .iter()
            .any(|said| said.iter().zip(&command).all(|(word, own)| word == own));
        let needs_none = WITHOUT_A_BROKER.contains(&command[0].as_str());
        assert!(
            needs_one != needs_none,
            "{command:?} is in neither table, or in both"
        );
    }
}

#[test]
fn a_dead_broker_is_5_and_the_hint_says_how_to_start_one() {
    let address = format!("127.0.0.1:{}", ports::free().unwrap());
    let sluicectl = Sluicectl::new().unwrap().flag("--admin", &address);
    for arguments in TO_A_BROKER {
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
        (
            &["message", "send", "t", "b", "--key", "a b"],
            "a key has no blanks",
        ),
        (&["message", "send", "t", "b", "--count", "0"], "take at least 1"),
        (&["topic", "list", "--ca", "nosuch"], "hint: name a CA file"),
        (
            &["topic", "list", "--token-file", "/dev/null"],
            "hint: one token stands in a line",
        ),
        (
            &["log", "inspect", "/etc/passwd"],
            "hint: name the broker's --data-dir",
        ),
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 2, "{arguments:?}: {said:?}");
        assert!(said.stderr.contains(part), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_broker_that_does_not_answer_in_time_is_told_apart_from_one_that_is_not_there() {
    // Connections to it stand in the system's queue, as those to a port that is full.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let sluicectl = Sluicectl::new().unwrap().flag("--timeout", "300ms");
    for arguments in [
        &["broker", "status", "--admin", &address][..],
        &["message", "send", "orders", "hello", "--endpoint", &address],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 5, "{said:?}");
        for part in ["no answer in time", &address, "--timeout 30s", "port full"] {
            assert!(said.stderr.contains(part), "{part} in {said:?}");
        }
        assert!(!said.stderr.contains("start it with"), "{said:?}");
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
    assert!(
        said.stderr.contains("this may be no gRPC port") && !said.stderr.contains("start it with"),
        "{said:?}"
    );
}

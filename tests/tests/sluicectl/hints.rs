//! Hints name what helps: of what is not there, what was too large, and what nobody reads.

use crate::stage::{fails, stage};

#[test]
fn the_hint_is_about_what_is_not_there_whatever_was_asked_for() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "2"])
        .unwrap();
    sluicectl
        .ok(&["group", "create", "readers", "--subscribe", "orders"])
        .unwrap();
    for (arguments, reason, part) in [
        (
            &["group", "reset", "readers", "nope", "--to", "latest"][..],
            "TOPIC_NOT_FOUND",
            "sluicectl topic list",
        ),
        (
            &["group", "reset", "nobody", "orders", "--to", "latest"],
            "GROUP_NOT_FOUND",
            "sluicectl group list",
        ),
        (
            &[
                "group", "reset", "readers", "orders", "--to", "latest", "--queue", "77",
            ],
            "QUEUE_NOT_FOUND",
            "sluicectl topic show",
        ),
        (
            &[
                "message", "get", "--topic", "orders", "--queue", "99", "--offset", "0",
            ],
            "QUEUE_NOT_FOUND",
            "sluicectl topic show",
        ),
        (
            &[
                "message", "get", "--topic", "nope", "--queue", "0", "--offset", "0",
            ],
            "TOPIC_NOT_FOUND",
            "sluicectl topic list",
        ),
        (
            &[
                "message", "get", "--topic", "orders", "--queue", "0", "--offset", "9",
            ],
            "MESSAGE_NOT_FOUND",
            "sluicectl message find",
        ),
    ] {
        let said = fails(&sluicectl, arguments, 3, reason, &[]);
        let hint = said.error().unwrap()["hint"].to_string();
        assert!(hint.contains(part), "{arguments:?}: {hint}");
    }
    let bad = ["topic", "create", "or ders"];
    fails(&sluicectl, &bad, 2, "TOPIC_NAME_INVALID", &["choose another one"]);
}

#[test]
fn nobody_is_told_to_make_a_dead_letter_topic() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    for arguments in [
        &["topic", "show", "%DLQ%readers"][..],
        &["message", "tail", "%DLQ%readers"],
        &["message", "find", "%DLQ%readers"],
        &["message", "receive", "readers", "%DLQ%readers"],
    ] {
        let said = sluicectl.run(&[arguments, &["-o", "json"]].concat()).unwrap();
        assert_eq!(said.code, 3, "{said:?}");
        let error = said.error().unwrap().to_string();
        assert!(
            error.contains("with the group's first dead letter")
                && error.contains("sluicectl group show")
                && !error.contains("topic create"),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn a_message_beyond_what_the_broker_reads_is_told_its_bound() {
    let (_broker, sluicectl) = stage();
    let body = vec![b'x'; 9 << 20];
    let said = sluicectl
        .run_with_input(&["message", "send", "orders", "-"], &body)
        .unwrap();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(
        said.stderr.contains("topic 'orders'") && said.stderr.contains("at most 4 MiB"),
        "{said:?}"
    );
}

#[test]
fn what_nobody_saw_is_not_acknowledged_and_that_is_no_success() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = sluicectl
        .run_onto(&["message", "receive", "readers", "orders", "--ack"], writer)
        .unwrap();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.stderr.contains("nothing was acknowledged"), "{said:?}");
    let lag = sluicectl.json(&["group", "lag", "readers"]).unwrap();
    assert_eq!(lag["topics"][0]["inflight"], 1, "{lag}");
}

#[test]
fn a_receive_for_a_group_that_is_not_there_says_that_it_makes_one() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let receive = ["message", "receive", "raeders", "orders", "--ack", "--wait", "0"];
    let said = sluicectl.run(&receive).unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.ends_with("\nhello\n"), "{said:?}");
    assert!(
        said.stderr.contains("there is no group raeders yet")
            && said.stderr.contains("sluicectl group delete raeders"),
        "{said:?}"
    );
    let again = sluicectl.run(&receive).unwrap();
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "it is there now");
    // A name that no group has makes none.
    let said = sluicectl
        .run(&["message", "receive", "a b", "orders", "--wait", "0"])
        .unwrap();
    assert!(said.code == 2 && !said.stderr.contains("makes it"), "{said:?}");
    // Neither does one that is the system's.
    for group in ["%DLQ%readers", "CID_RMQ_SYS_TRANS"] {
        let said = sluicectl
            .run(&["message", "receive", group, "orders", "--wait", "0"])
            .unwrap();
        assert!(said.code == 2 && !said.stderr.contains("makes it"), "{said:?}");
    }
    // Whoever names the client port alone need not have an admin API.
    let (other, sluicectl) = stage();
    let endpoint = other.endpoint();
    let said = sluicectl
        .run(&[
            "message",
            "receive",
            "raeders",
            "orders",
            "--wait",
            "0",
            "--endpoint",
            &endpoint,
        ])
        .unwrap();
    assert_eq!((said.code, said.stderr.as_str()), (0, ""), "{said:?}");
}

#[test]
fn a_receive_from_a_topic_that_is_not_there_says_that_it_makes_one_or_is_refused() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["group", "create", "readers"]).unwrap();
    let receive = ["message", "receive", "readers", "ordres", "--wait", "0"];
    let said = sluicectl.run(&receive).unwrap();
    assert_eq!(
        (said.code, said.stdout.trim()),
        (0, "no messages came"),
        "{said:?}"
    );
    assert!(
        said.stderr
            .contains("there is no topic ordres yet: this makes it")
            && said.stderr.contains("sluicectl topic delete ordres"),
        "{said:?}"
    );
    let again = sluicectl.run(&receive).unwrap();
    assert_eq!((again.code, again.stderr.as_str()), (0, ""), "it is there now");
    sluicectl
        .ok(&["config", "set", "autoCreateTopics=false"])
        .unwrap();
    for arguments in [
        &["message", "receive", "readers", "odrers", "--wait", "0"][..],
        &["message", "tail", "odrers"],
    ] {
        let said = sluicectl.run(arguments).unwrap();
        assert_eq!(said.code, 3, "{said:?}");
        assert!(
            said.stderr.contains("there is no topic 'odrers'") && !said.stderr.contains("makes it"),
            "{said:?}"
        );
    }
}

#[test]
fn the_last_attempt_is_told_to_be_one() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["group", "create", "readers", "--max-attempts", "1"])
        .unwrap();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    let said = sluicectl
        .run(&["message", "receive", "readers", "orders"])
        .unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("last attempt")
            && said.stderr.contains("%DLQ%readers")
            && !said.stderr.contains("come again"),
        "{said:?}"
    );
}

#[test]
fn a_subscription_to_a_topic_that_is_not_there_is_made_and_told_of() {
    let (_broker, sluicectl) = stage();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    let make = [
        "group",
        "create",
        "readers",
        "--subscribe",
        "orders",
        "--subscribe",
        "nope",
    ];
    let said = sluicectl.run(&make).unwrap();
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("there is no topic 'nope' yet") && !said.stderr.contains("orders"),
        "{said:?}"
    );
}

#[test]
fn an_offset_that_no_queue_has_come_to_is_told_of_in_the_preview() {
    let (_broker, sluicectl) = stage();
    sluicectl
        .ok(&["topic", "create", "orders", "--queues", "1"])
        .unwrap();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    sluicectl
        .ok(&["group", "create", "readers", "--subscribe", "orders"])
        .unwrap();
    let reset = ["group", "reset", "readers", "orders", "--to", "offset:999999"];
    let preview = sluicectl.ok(&reset).unwrap();
    assert!(
        preview.contains("offset 999999 lies behind the end: to the end of queue 0"),
        "{preview}"
    );
}

#[test]
fn bounds_are_told_in_the_words_of_flags() {
    let (_broker, sluicectl) = stage();
    fails(
        &sluicectl,
        &["group", "create", "readers", "--max-attempts", "99999"],
        2,
        "SPEC_INVALID",
        &["--max-attempts is 99999: give 1 to 1000"],
    );
    let said = sluicectl
        .run(&["message", "find", "orders", "--from", "now", "--to", "-1h"])
        .unwrap();
    assert!(
        said.code == 2
            && said
                .stderr
                .contains("the span ends before it begins: --from is 20"),
        "{said:?}"
    );
    let said = sluicectl
        .run(&["message", "receive", "readers", "orders", "--invisible", "1s"])
        .unwrap();
    assert!(said.stderr.contains("between 10s and 12h"), "{said:?}");
}

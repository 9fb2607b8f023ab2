//! Who is let in: tokens and certificates.

use std::path::PathBuf;

use sluice_tests::admin::Authority;
use sluice_tests::process::{Broker, Setup};
use sluice_tests::sluicectl::Sluicectl;

use crate::stage::fails;

const TOKEN: &str = "a-token-of-the-tests-that-is-long-enough-0123456789";

/// A broker whose admin API asks for a token.
fn guarded() -> (Broker, tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let broker = Setup::new()
        .flag("--admin-token-file", file.to_str().unwrap())
        .start()
        .unwrap();
    (broker, folder, file)
}

#[test]
fn a_missing_or_wrong_token_is_6_and_the_right_one_is_let_in() {
    let (broker, folder, file) = guarded();
    let sluicectl = Sluicectl::of(&broker).unwrap();
    fails(
        &sluicectl,
        &["topic", "list"],
        6,
        "TOKEN_MISSING",
        &["token", "--token-file"],
    );
    let other = folder.path().join("other");
    std::fs::write(&other, "some-other-token-that-is-also-long-enough-012345").unwrap();
    let wrong = ["topic", "list", "--token-file", other.to_str().unwrap()];
    let said = fails(&sluicectl, &wrong, 6, "TOKEN_WRONG", &["token"]);
    assert!(
        !said.stderr.contains("some-other-token"),
        "no token is ever shown: {said:?}"
    );
    sluicectl
        .ok(&["topic", "list", "--token-file", file.to_str().unwrap()])
        .unwrap();
    let by_variable = Sluicectl::of(&broker).unwrap().environment("SLUICE_TOKEN", TOKEN);
    by_variable.ok(&["topic", "list"]).unwrap();
    // Messages go through the port for clients, whose address the admin API names.
    by_variable.ok(&["message", "send", "orders", "hello"]).unwrap();
}

#[test]
fn a_context_carries_address_token_and_tls() {
    let (broker, _folder, file) = guarded();
    let sluicectl = Sluicectl::new().unwrap();
    let ca = broker.data_dir().join("tls.crt");
    let admin = broker.admin_endpoint();
    let set = [
        "context",
        "set",
        "lab",
        "--admin",
        &admin,
        "--token-file",
        file.to_str().unwrap(),
        "--ca",
        ca.to_str().unwrap(),
    ];
    sluicectl.ok(&set).unwrap();
    sluicectl.ok(&["topic", "create", "orders"]).unwrap();
    sluicectl.ok(&["message", "send", "orders", "hello"]).unwrap();
    // Where another broker is named the context's token stays at home.
    fails(
        &sluicectl,
        &["topic", "list", "--admin", &admin],
        6,
        "TOKEN_MISSING",
        &["token"],
    );
    sluicectl
        .ok(&["topic", "list", "--admin", &admin, "--context", "lab"])
        .unwrap();
    let by_variable = ["topic", "list", "--context", "lab"];
    sluicectl.ok(&by_variable).unwrap();
}

#[test]
fn a_name_that_the_certificate_does_not_have_is_told_apart_from_a_ca_that_is_not_known() {
    let broker = Setup::new().every_interface("--grpc-listen").start().unwrap();
    let ca = broker.data_dir().join("tls.crt");
    let (_, port) = broker
        .endpoint()
        .rsplit_once(':')
        .map(|(_, port)| ((), port.to_owned()))
        .unwrap();
    let address = format!("127.0.0.2:{port}");
    let send = ["message", "send", "orders", "hello", "--endpoint", &address];
    let said = Sluicectl::new()
        .unwrap()
        .run(&[&send[..], &["--ca", ca.to_str().unwrap()]].concat())
        .unwrap();
    assert_eq!(said.code, 5, "{said:?}");
    assert!(
        said.stderr.contains("a name that its certificate has") && !said.stderr.contains("--ca FILE"),
        "{said:?}"
    );
    let stranger = Authority::new("somebody else").unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other.path(), &stranger.certificate).unwrap();
    let said = Sluicectl::new()
        .unwrap()
        .run(&[&send[..], &["--ca", other.path().to_str().unwrap()]].concat())
        .unwrap();
    assert!(said.code == 5 && said.stderr.contains("--ca FILE"), "{said:?}");
}

#[test]
fn the_admin_address_and_the_context_come_from_the_environment_too() {
    let broker = Setup::new().start().unwrap();
    let by_address = Sluicectl::new()
        .unwrap()
        .environment("SLUICE_ADMIN", &broker.admin_endpoint());
    by_address.ok(&["topic", "create", "orders"]).unwrap();
    let by_context = Sluicectl::new().unwrap().environment("SLUICE_CONTEXT", "lab");
    let said = by_context.run(&["topic", "list"]).unwrap();
    assert_eq!(said.code, 3, "{said:?}");
    by_context
        .ok(&["context", "set", "lab", "--admin", &broker.admin_endpoint()])
        .unwrap();
    assert!(by_context.ok(&["topic", "list"]).unwrap().contains("orders"));
}

#[test]
fn a_client_certificate_lets_in_and_plaintext_is_told_to_speak_tls() {
    let authority = Authority::new("operators").unwrap();
    let shown = authority.sign("somebody").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let ca = write("ca.pem", &authority.certificate);
    let (cert, key) = (
        write("cert.pem", &shown.certificate),
        write("key.pem", &shown.key),
    );
    let broker = Setup::new().flag("--admin-client-ca", &ca).start().unwrap();
    let sluicectl = Sluicectl::of(&broker).unwrap();

    fails(
        &sluicectl,
        &["topic", "list"],
        6,
        "TLS_REQUIRED",
        &["--cert and --cert-key"],
    );
    fails(
        &sluicectl,
        &["topic", "list", "--insecure-skip-verify"],
        6,
        "CERTIFICATE_MISSING",
        &["certificate"],
    );
    let own = broker.data_dir().join("tls.crt");
    let with_certificate = [
        "topic",
        "list",
        "--ca",
        own.to_str().unwrap(),
        "--cert",
        &cert,
        "--cert-key",
        &key,
    ];
    sluicectl.ok(&with_certificate).unwrap();
    let swapped = ["topic", "list", "--cert", &key, "--cert-key", &cert];
    assert_eq!(sluicectl.run(&swapped).unwrap().code, 2);
}

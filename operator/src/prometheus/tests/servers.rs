//! Descriptions of servers that cannot be used, and what they keep secret.

use super::*;

#[test]
fn a_description_that_cannot_be_used_is_refused_and_tells_no_secret() {
    let url = |url: &str| server(url.to_owned());
    let bearer = |token: &str| Server {
        authorization: Some(Authorization::Bearer(token.to_owned())),
        ..url("http://p:9090")
    };
    let tenant = |header: &str, value: &str| Server {
        tenant: Some(Tenant {
            header: header.to_owned(),
            value: value.to_owned(),
        }),
        ..url("http://p:9090")
    };
    let ca = |pem: &str| Server {
        ca_bundle: Some(pem.as_bytes().to_vec()),
        ..url("https://p:9090")
    };
    let key = Server {
        client_certificate: Some(ClientCertificate {
            chain: b"sEcret".to_vec(),
            key: b"sEcret".to_vec(),
        }),
        ca_bundle: None,
        ..url("http://p:9090")
    };
    for (server, words) in [
        (url("prometheus:9090"), "neither with http:// nor with https://"),
        (url("ftp://p"), "neither with http:// nor with https://"),
        (url("not an address"), "it is no address"),
        (url(""), "it is no address"),
        (url("http://ada:sEcret@p:9090"), "name a Secret with them"),
        (url("http://p:9090/?sEcret"), "leave the query away"),
        (
            bearer("sEcret\nx"),
            "the Prometheus token cannot stand in a header",
        ),
        (bearer(""), "the Prometheus token cannot stand in a header"),
        (
            tenant("X Y", "a"),
            "the Prometheus tenant header cannot stand in a header",
        ),
        (
            tenant("X-Y", ""),
            "the Prometheus tenant cannot stand in a header",
        ),
        (
            ca("sEcret"),
            "the Prometheus CA bundle cannot be used: there is no certificate in it",
        ),
        (key, "the Prometheus client certificate cannot be used"),
    ] {
        let error = server.client().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} has not {words:?}");
        assert!(!error.contains("sEcret"), "{error}");
    }
}

#[test]
fn secrets_are_in_no_debugging_output() {
    let server = Server {
        authorization: Some(Authorization::Bearer("sEcret".to_owned())),
        client_certificate: Some(ClientCertificate {
            chain: Vec::new(),
            key: b"sEcret".to_vec(),
        }),
        ..server("http://p:9090".to_owned())
    };
    let basic = Authorization::Basic {
        username: "ada".to_owned(),
        password: "sEcret".to_owned(),
    };
    let client = Server {
        client_certificate: None,
        ..server.clone()
    }
    .client()
    .unwrap();
    let shown = format!("{server:?} {basic:?} {client:?}");
    assert!(
        shown.contains("ada") && !shown.contains("sEcret") && !shown.contains("115, 69, 99"),
        "{shown}"
    );
}

//! What a call carries, and what it is told of the age of a value.

use super::*;

#[tokio::test]
async fn the_age_of_what_goes_into_a_value_is_asked_for() {
    for (age, wanted) in [
        ("60", Ok(5)),
        ("60.5", Err(ErrorKind::Stale)),
        ("-3", Ok(5)),
        ("NaN", Err(ErrorKind::NotANumber)),
    ] {
        let (port, calls) = serve(None, move |query| value(if query == "age" { age } else { "5" })).await;
        let client = server(format!("http://127.0.0.1:{port}")).client().unwrap();
        let question = Question {
            age_query: Some("age".to_owned()),
            ..question("lag")
        };
        // The server's clock is another one: only what it says of the age counts.
        let found = client.count(&question, NOW + 5000).await;
        assert_eq!(found.map_err(|error| error.kind), wanted, "{age}");
        assert_eq!(calls.lock().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_call_carries_the_query_and_what_the_server_wants_to_see() {
    let (port, calls) = serve(None, |_| value("1")).await;
    let tenant = |header: &str| {
        Some(Tenant {
            header: header.to_owned(),
            value: "team-a".to_owned(),
        })
    };
    let basic = Authorization::Basic {
        username: "ada".to_owned(),
        password: "pa:ss".to_owned(),
    };
    let with = |path: &str, authorization, tenant| Server {
        authorization,
        tenant,
        ..server(format!("http://127.0.0.1:{port}{path}"))
    };
    // The server, the path that is asked for, and headers.
    type Row = (Server, &'static str, Vec<(&'static str, &'static str)>);
    let rows: Vec<Row> = vec![
        (with("", None, None), "/api/v1/query", vec![]),
        (
            with(
                "/prometheus/",
                Some(Authorization::Bearer("s3cret\n".to_owned())),
                None,
            ),
            "/prometheus/api/v1/query",
            vec![("authorization", "Bearer s3cret")],
        ),
        (
            with("/", Some(basic), tenant("X-Scope-OrgID")),
            "/api/v1/query",
            vec![
                ("authorization", "Basic YWRhOnBhOnNz"),
                ("x-scope-orgid", "team-a"),
            ],
        ),
        (
            with("", None, tenant("THANOS-TENANT")),
            "/api/v1/query",
            vec![("thanos-tenant", "team-a")],
        ),
    ];
    for (server, path, headers) in rows {
        let query = r#"sum(a{b="ü&c=d+e"}) > 1"#;
        server.client().unwrap().vector(query).await.unwrap();
        let call = calls.lock().unwrap().pop().unwrap();
        assert_eq!((&*call.method, &*call.path), ("POST", path));
        assert_eq!(call.form["query"], query);
        assert_eq!(
            (&*call.form["timeout"], &*call.form["partial_response"]),
            ("20000ms", "false")
        );
        for (name, value) in headers {
            assert_eq!(call.headers[name], value);
        }
    }
}

use super::*;

fn contexts() -> Contexts {
    let text = "current: prod\ncontexts:\n  prod: {admin: 'p:1', tokenFile: /p, tls: true, endpoint: 'p:2'}\n  lab: {admin: 'l:1'}\n";
    Contexts::parse(text, Path::new("/etc/sluice/config.yaml")).unwrap()
}

fn environment(admin: Option<&str>, context: Option<&str>, token: Option<&str>) -> Environment {
    Environment {
        admin: admin.map(str::to_owned),
        context: context.map(str::to_owned),
        token: token.map(str::to_owned),
        ..Environment::default()
    }
}

fn flags(admin: Option<&str>, context: Option<&str>) -> Global {
    Global {
        admin: admin.map(str::to_owned),
        context: context.map(str::to_owned),
        ..Global::default()
    }
}

fn resolve(global: &Global, environment: &Environment) -> Settings {
    Settings::resolve(global, environment, &contexts()).unwrap()
}

#[test]
fn the_more_direct_word_names_the_broker() {
    for (flag, context, env, env_context, admin) in [
        (None, None, None, None, "p:1"),
        (None, None, None, Some("lab"), "l:1"),
        (None, None, Some("e:1"), None, "e:1"),
        (None, None, Some("e:1"), Some("lab"), "e:1"),
        (None, Some("lab"), Some("e:1"), Some("prod"), "l:1"),
        (Some("f:1"), Some("lab"), Some("e:1"), Some("prod"), "f:1"),
    ] {
        let settings = resolve(&flags(flag, context), &environment(env, env_context, None));
        assert_eq!(settings.admin.to_string(), admin);
    }
    let nothing = Settings::resolve(&Global::default(), &Environment::default(), &Contexts::default());
    assert_eq!(nothing.unwrap().admin.to_string(), ADMIN_DEFAULT);
}

#[test]
fn the_token_of_the_context_in_use_goes_to_no_other_broker() {
    let settings = resolve(&flags(Some("other:1"), None), &Environment::default());
    assert_eq!((settings.token, settings.tls.enabled), (TokenSource::None, false));
    assert_eq!(settings.endpoint, None);
    let settings = resolve(&flags(Some("other:1"), Some("prod")), &Environment::default());
    assert_eq!(
        (settings.token, settings.tls.enabled),
        (TokenSource::File("/p".into()), true)
    );
}

#[test]
fn the_token_is_the_flags_then_the_environments_then_the_contexts() {
    let variable = environment(None, None, Some("secret"));
    assert_eq!(
        resolve(&flags(None, None), &variable).token,
        TokenSource::Value("secret".to_owned())
    );
    // A context that is named has its own.
    assert_eq!(
        resolve(&flags(None, Some("prod")), &variable).token,
        TokenSource::File("/p".into())
    );
    let flag = Global {
        token_file: Some("/f".into()),
        ..flags(None, Some("prod"))
    };
    assert_eq!(resolve(&flag, &variable).token, TokenSource::File("/f".into()));
}

#[test]
fn what_needs_tls_switches_it_on() {
    let with = |global: Global| {
        Settings::resolve(&global, &Environment::default(), &Contexts::default())
            .unwrap()
            .tls
    };
    assert!(!with(Global::default()).enabled);
    assert!(
        with(Global {
            tls: true,
            ..Global::default()
        })
        .enabled
    );
    assert!(
        with(Global {
            ca: Some("ca".into()),
            ..Global::default()
        })
        .enabled
    );
    assert!(
        with(Global {
            insecure_skip_verify: true,
            ..Global::default()
        })
        .enabled
    );
    let identity = with(Global {
        cert: Some("c".into()),
        cert_key: Some("k".into()),
        ..Global::default()
    });
    assert_eq!(
        (identity.enabled, identity.identity),
        (true, Some(("c".into(), "k".into())))
    );
}

#[test]
fn a_context_that_is_not_there_and_a_bad_address_are_refused() {
    let missing =
        Settings::resolve(&flags(None, Some("moon")), &Environment::default(), &contexts()).unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    assert!(missing.hint.unwrap().contains("lab, prod"));
    let bad = Settings::resolve(
        &flags(Some("nowhere"), None),
        &Environment::default(),
        &contexts(),
    )
    .unwrap_err();
    assert_eq!((bad.kind, bad.object.as_str()), (Kind::Usage, "--admin"));
}

#[test]
fn a_token_is_never_printed() {
    let settings = resolve(&flags(None, None), &environment(None, None, Some("secret")));
    assert!(!format!("{settings:?}").contains("secret"));
}

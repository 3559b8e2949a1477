use super::*;
use kvfuse_servers::settings;

fn config(variables: &[(&str, &str)]) -> Result<Config> {
    Config::from_settings(&settings(variables), false)
}

fn url(url: &str) -> Result<Config> {
    config(&[(URL, url)])
}

fn endpoint(host: &str, port: u16) -> Endpoint {
    Endpoint { host: host.into(), port }
}

fn one(host: &str, port: u16) -> Servers {
    Servers::One(endpoint(host, port))
}

#[test]
fn several_hosts_are_sentinels_or_nodes_as_the_scheme_says() {
    let sentinels = url("redis+sentinel://ann:pw@a,b:7,[::1]/mymaster/2").unwrap();
    let hosts = vec![endpoint("a", 26379), endpoint("b", 7), endpoint("::1", 26379)];
    assert_eq!(sentinels.servers, Servers::Sentinels(hosts, "mymaster".into()));
    assert_eq!((sentinels.user.as_deref(), sentinels.password.as_deref()), (Some("ann"), Some("pw")));
    assert_eq!(sentinels.database, 2);
    assert_eq!(sentinels.sentinel_password, None, "that of the server is not for the sentinels");
    let cluster = url("valkey+cluster://a:1, b").unwrap();
    assert_eq!(cluster.servers, Servers::Cluster(vec![endpoint("a", 1), endpoint("b", 6379)]));
    let logins = [(SENTINEL_USERNAME, "bob"), (SENTINEL_PASSWORD, "other")];
    let config = config(&[&[(URL, "redis+sentinel://a/m")][..], &logins].concat()).unwrap();
    assert_eq!((config.sentinel_user.as_deref(), config.sentinel_password.as_deref()), (Some("bob"), Some("other")));
    let text = format!("{config:?}");
    assert!(!text.contains("other"), "{text}");
}

#[test]
fn what_a_cluster_or_sentinels_cannot_be_is_refused_with_what_is_wrong() {
    for (text, says) in [
        ("redis+cluster://a/1", "database other than 0"),
        ("redis+sentinel://a", "does not name the primary"),
        ("redis+sentinel://a,b/", "does not name the primary"),
        ("redis+sentinel://a/m/x", "database number"),
        ("redis+sentinel://a/m,b/n", "does not name the primary"),
        ("redis+sentinel://a/m,b:1/n", "does not name the primary"),
        ("redis+cluster://:pw@a,:hunter2@b", "a login after its first host"),
        ("redis+cluster://a,rediss+cluster://b", "a scheme or a login"),
        ("redis+ring://a", "scheme that is not known"),
        ("redis://a,b:1", "URL"),
    ] {
        let error = url(text).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
        assert!(error.message().contains(says) && !error.message().contains("hunter2"), "{text}: {error}");
    }
    let error = config(&[(URL, "redis+sentinel://a/m"), (SENTINEL_USERNAME, "bob")]).unwrap_err();
    assert!(error.message().contains(SENTINEL_PASSWORD), "{error}");
}

#[test]
fn what_a_refusal_offers_is_accepted_and_of_the_kind_that_was_asked_for() {
    for (text, offered) in [
        ("redis+cluster://a/3", "redis+cluster://"),
        ("valkey+cluster://a/3", "valkey+cluster://"),
        ("Redis+Cluster://a:70000", "redis+cluster://"),
        ("rediss+cluster://a/3", "rediss+cluster://"),
        ("redis+sentinel://a", "redis+sentinel://"),
        ("redis+sentinel://a/m/x", "redis+sentinel://"),
        ("redis://h/db", "redis://"),
        ("redis+ring://a", "redis://"),
        ("hunter2+cluster://a", "redis://"),
        ("hunter2", "redis://"),
    ] {
        let parse = |url: &str| Config::from_settings(&settings(&[(URL, url)]), true);
        let error = parse(text).unwrap_err();
        let (_, valid) = error.message().split_once("a valid one is ").unwrap();
        assert!(valid.starts_with(offered), "{text}: {error}");
        assert!(parse(valid).is_ok(), "{text}: {error}");
    }
}

#[test]
fn a_list_of_servers_bounds_what_others_may_name() {
    let named = |text: &str| config(&[(URL, "redis+cluster://a:1"), (NAMED, text)]);
    let bounded = named("b:2, c").unwrap();
    for (host, port, may) in [("a", 1, true), ("b", 2, true), ("c", 6379, true), ("b", 3, false), ("x", 1, false)] {
        assert_eq!(bounded.admit(&endpoint(host, port)).is_ok(), may, "{host}:{port}");
    }
    assert!(named("").unwrap().admit(&endpoint("x", 1)).is_ok());
    assert!(named("b:x").unwrap_err().message().contains(NAMED));
}

#[test]
fn a_url_holds_address_login_and_database() {
    let plain = url("redis://localhost").unwrap();
    assert_eq!((plain.servers, plain.database), (one("localhost", 6379), 0));
    assert_eq!((plain.user, plain.password, plain.layout), (None, None, Layout::Prefix));

    let full = url("redis://ann:s%3Acret%40@[::1]:7000/3").unwrap();
    assert_eq!((full.servers, full.database), (one("::1", 7000), 3));
    assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("ann"), Some("s:cret@")));

    let password = url("valkey://:pw@h").unwrap();
    assert_eq!((password.user, password.password.as_deref()), (None, Some("pw")));
    assert_eq!(url("redis://:p,w@h").unwrap().password.as_deref(), Some("p,w"), "a comma separates nothing here");
}

#[test]
fn the_login_can_be_set_apart_from_the_url() {
    let config = config(&[(URL, "redis://h"), ("KEYVALUE_REDIS_USERNAME", "ann"), ("KEYVALUE_REDIS_PASSWORD", "pw")]);
    let config = config.unwrap();
    assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("ann"), Some("pw")));
}

#[test]
fn the_raw_layout_holds_no_label_because_it_keeps_no_buckets_apart() {
    let with = |layout| config(&[(URL, "redis://h"), ("KEYVALUE_REDIS_LAYOUT", layout), (LABEL, "sessions")]);
    let error = with("raw").unwrap_err();
    assert!(error.message().contains("raw") && error.message().contains("\"sessions\""), "{error}");
    assert!(with("prefix").is_ok() && with("hash").is_ok());
}

#[test]
fn a_wrong_url_is_refused_without_repeating_it() {
    for text in [
        "hunter2",
        "http://hunter2@h",
        "redis://",
        "redis://hunter2@",
        "redis://:hunter2@h:0",
        "redis://:hunter2@h:70000",
        "redis://:hunter2@h:+1",
        "redis://:hunter2@[::1",
        "redis://:hunter2%zz@h",
        "redis://:hunter2@h/db",
        "redis://hunter2@h",
        "redis://:hunter#2@h",
        "redis://a:1,hunter2:2",
    ] {
        let error = url(text).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument, "{text}");
        assert!(error.message().contains(URL), "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}

#[test]
fn without_tls_inside_a_url_that_asks_for_it_is_refused_with_the_way_out() {
    for scheme in ["rediss", "valkeys", "rediss+cluster"] {
        let error = url(&format!("{scheme}://:hunter2@h")).unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.message().contains("TLS") && error.message().contains("--store redis-tls"), "{error}");
        assert!(!error.message().contains("hunter2"), "{error}");
    }
}

#[test]
fn tls_is_asked_for_by_the_scheme_and_nothing_else() {
    for (text, asked) in [
        ("rediss://h", true),
        ("VALKEYS://h", true),
        ("rediss+sentinel://a,b/m", true),
        ("redis+cluster://a,b", false),
        ("redis://h", false),
        ("redis://rediss", false),
        ("", false),
    ] {
        assert_eq!(asks_for_tls(&settings(&[(URL, text)])), asked, "{text}");
    }
    let encrypted = Config::from_settings(&settings(&[(URL, "rediss://:pw@h")]), true).unwrap();
    assert_eq!((encrypted.servers, encrypted.password.as_deref()), (one("h", 6379), Some("pw")));
}

#[test]
fn without_a_url_the_error_names_the_variable() {
    let error = config(&[]).unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.message().contains("KEYVALUE_REDIS_URL"), "{error}");
}

#[test]
fn debug_output_hides_the_password() {
    let text = format!("{:?}", url("redis://ann:hunter2@h").unwrap());
    assert!(text.contains("ann") && !text.contains("hunter2"), "{text}");
}

//! A configuration is taken as it was meant, or refused with key, line and what to do.

use foreshift_wire::{Config, KeySelector, Mode, SameSite};

/// What every later version must take as it stands.
const ACCEPTED: &str = include_str!("config.toml");

/// A small configuration with `pool` and `listener` lines added, and one line changed.
fn with(listener: &str, pool: &str) -> String {
    format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:8080\"\npool = \"app\"\n{listener}\n\
         [[pool]]\nname = \"app\"\n{pool}\n"
    )
}

fn with_node(node: &str) -> String {
    with(
        "",
        &format!("[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9001\"\n{node}"),
    )
}

#[test]
fn the_first_published_configuration_is_taken_as_it_stands() {
    let config = Config::parse(ACCEPTED).unwrap();
    assert_eq!(config.warnings(), []);
    assert_eq!(config.pool[0].mode, Mode::Act);
    assert_eq!(config.pool[0].node[1].capacity.connections, Some(10_000));
    let KeySelector::Cookie(cookie) = &config.listener[0].affinity[1] else {
        panic!("{:?}", config.listener[0].affinity);
    };
    assert_eq!(
        (cookie.name.as_str(), cookie.issue, cookie.same_site),
        ("sid", false, SameSite::Lax)
    );
}

#[test]
fn a_configuration_reads_back_as_it_was_written() {
    let full = "affinity = [{ cookie = { name = \"sid\", issue = true, same_site = \"strict\" } }, { path_segment = 1 }]";
    for text in [ACCEPTED.to_owned(), with(full, "failover = \"resume\"")] {
        let config = Config::parse(&text).unwrap();
        let written = toml::to_string(&config).unwrap();
        assert_eq!(Config::parse(&written).unwrap(), config, "{written}");
    }
}

/// Each problem with its key, its line and a part of what is said about it.
#[track_caller]
fn refused(cases: &[(&str, &str, usize, &str)]) {
    for (text, key, line, part) in cases {
        let Err(error) = Config::parse(text) else {
            panic!("taken:\n{text}");
        };
        assert_eq!((error.key.as_str(), error.line), (*key, *line), "{error}\n{text}");
        assert!(error.message.contains(part), "{error}\nlacks {part:?}\n{text}");
        assert!(!error.message.contains('\n'), "{error}");
    }
}

#[test]
fn a_text_that_is_no_toml_is_refused_by_line() {
    #[rustfmt::skip]
    refused(&[
        ("[api\naddress = 1", "", 1, ""),
        ("\n\n[api]\naddress = \"127.0.0.1:1", "", 4, ""),
        ("[api]\naddress = \"127.0.0.1:1\"\naddress = \"127.0.0.1:2\"", "", 3, "duplicate key"),
        ("[api]\n[api]\n", "", 2, "duplicate key"),
    ]);
}

#[test]
fn an_unknown_key_is_refused_and_the_nearest_named() {
    #[rustfmt::skip]
    refused(&[
        (&with("", "load_treshold = 80"), "pool[0].load_treshold", 8, "did you mean \"load_threshold\"?"),
        ("\n[apy]\naddress = \"127.0.0.1:1\"", "apy", 2, "did you mean \"api\"?"),
        ("[api]\ntoken = \"x\"", "api.token", 2, "Known here: address"),
        ("[ingress.limits]\n\nheader-bytes = 1", "ingress.limits.header-bytes", 3, "did you mean \"header_bytes\"?"),
        (&with("", "health = { intervall = \"1s\" }"), "pool[0].health.intervall", 8, "\"interval\""),
        (&with_node("capacity = { conections = 1 }"), "pool[0].node[0].capacity.conections", 11, "\"connections\""),
        (&with("affinity = [{ coockie = \"sid\" }]", ""), "listener[0].affinity[0]", 5, "did you mean \"cookie\"?"),
        (&with("affinity = [{ cookie = { name = \"sid\", isue = true } }]", ""), "listener[0].affinity[0].cookie.isue", 5, "did you mean \"issue\"?"),
        (&with("", "mode = \"akt\""), "pool[0].mode", 8, "did you mean \"act\"? Known here: observe, advise, act"),
        (&with("protocol = \"gopher\"", ""), "listener[0].protocol", 5, "Known here: http"),
        ("[meta]\nstore = \"etcd\"", "meta.store", 2, "Known here: embedded"),
    ]);
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_what_to_write() {
    #[rustfmt::skip]
    refused(&[
        (&with("", "load_threshold = \"80\""), "pool[0].load_threshold", 8, "write a number"),
        (&with("", "max_moves_per_tick = -1"), "pool[0].max_moves_per_tick", 8, "whole number from 0 to 4294967295"),
        (&with("", "max_moves_per_tick = 1.5"), "pool[0].max_moves_per_tick", 8, "whole number"),
        (&with("", "health = { rise = 70000 }"), "pool[0].health.rise", 8, "whole number from 0 to 65535"),
        ("[ingress]\naccess_log = \"yes\"", "ingress.access_log", 2, "expected false, \"text\" or \"json\""),
        (&with("", "check_interval = 500"), "pool[0].check_interval", 8, "in quotes"),
        (&with("", "check_interval = \"0.5s\""), "pool[0].check_interval", 8, "not a duration"),
        (&with("", "check_interval = \"10 seconds\""), "pool[0].check_interval", 8, "as in \"500ms\""),
        ("[api]\naddress = \"localhost:80\"", "api.address", 2, "write an IP address and a port"),
        ("[api]\naddress = 8090", "api.address", 2, ""),
        ("api = 1", "api", 1, "write a table"),
        ("pool = \"app\"", "pool", 1, "write a list"),
        (&with("affinity = \"cookie\"", ""), "listener[0].affinity", 5, "write a list"),
        (&with("affinity = [{ cookie = 3 }]", ""), "listener[0].affinity[0].cookie", 5, "a cookie's name, or a table"),
        (&with("affinity = [{ source_address = 300 }]", ""), "listener[0].affinity[0].source_address", 5, "from 0 to 255"),
        ("[[listener]]\nname = \"web\"\n", "listener[0].address", 1, "is missing"),
        ("[[pool]]\nname = \"\"", "pool[0].name", 2, "1 to 64 letters"),
        ("[[pool]]\nname = \"a/b\"", "pool[0].name", 2, "1 to 64 letters"),
    ]);
}

#[test]
fn a_number_out_of_its_range_is_refused_with_the_range() {
    #[rustfmt::skip]
    refused(&[
        ("[forecast]\nprediction_horizon = \"500ms\"", "forecast.prediction_horizon", 2, "1s to 10m"),
        ("[forecast]\nprediction_horizon = \"11m\"", "forecast.prediction_horizon", 2, "1s to 10m"),
        ("[forecast]\nmodel = \"\"", "forecast.model", 2, "empty"),
        ("[meta]\npath = \"\"", "meta.path", 2, "name a file"),
        ("[ingress]\nworkers = 0", "ingress.workers", 2, "1 to 1024"),
        ("[ingress]\ndrain_timeout = \"2d\"", "ingress.drain_timeout", 2, "0s to 1d"),
        ("[ingress.limits]\nheader_bytes = 1000", "ingress.limits.header_bytes", 2, "1024 to 1048576"),
        ("[ingress.limits]\nheader_bytes = 2000000", "ingress.limits.header_bytes", 2, "1024 to 1048576"),
        ("[ingress.limits]\nheaders = 1001", "ingress.limits.headers", 2, "1 to 1000"),
        ("[ingress.limits]\nconnections = 0", "ingress.limits.connections", 2, "out of range"),
        ("[ingress.limits]\nconnections_per_source = 0", "ingress.limits.connections_per_source", 2, "out of range"),
        ("[ingress.limits]\npause_buffer_bytes = 0", "ingress.limits.pause_buffer_bytes", 2, "out of range"),
        ("[ingress.limits]\nheader_timeout = \"0s\"", "ingress.limits.header_timeout", 2, "longer than nothing"),
        ("[ingress.limits]\nidle_timeout = \"0s\"", "ingress.limits.idle_timeout", 2, "longer than nothing"),
        (&with("", "load_threshold = 0"), "pool[0].load_threshold", 8, "1 to 100"),
        (&with("", "load_threshold = 100.1"), "pool[0].load_threshold", 8, "1 to 100"),
        (&with("", "load_threshold = nan"), "pool[0].load_threshold", 8, "1 to 100"),
        (&with("", "headroom = -1"), "pool[0].headroom", 8, "below load_threshold (80)"),
        (&with("", "headroom = 80"), "pool[0].headroom", 8, "below load_threshold (80)"),
        (&with("", "trigger_quantile = 0.8"), "pool[0].trigger_quantile", 8, "0.5, 0.9 or 0.99"),
        (&with("", "check_interval = \"50ms\""), "pool[0].check_interval", 8, "100ms to 1m"),
        (&with("", "check_interval = \"2m\""), "pool[0].check_interval", 8, "100ms to 1m"),
        (&with("", "check_interval = \"20s\""), "pool[0].check_interval", 8, "longer than forecast.prediction_horizon (10s)"),
        (&with("", "balance_factor = 1"), "pool[0].balance_factor", 8, "1.05 to 10"),
        (&with("", "balance_factor = inf"), "pool[0].balance_factor", 8, "1.05 to 10"),
        (&with("", "max_moves_per_tick = 0"), "pool[0].max_moves_per_tick", 8, "1 to 100000"),
        (&with("", "migration_interval = \"0s\""), "pool[0].migration_interval", 8, "longer than nothing"),
        (&with("", "migration_deadline = \"0ms\""), "pool[0].migration_deadline", 8, "longer than nothing"),
        (&with("", "connect_timeout = \"0s\""), "pool[0].connect_timeout", 8, "longer than nothing"),
        (&with("", "request_timeout = \"0s\""), "pool[0].request_timeout", 8, "longer than nothing"),
        (&with("", "health = { rise = 0 }"), "pool[0].health.rise", 8, "1 to 1000"),
        (&with("", "health = { fall = 0 }"), "pool[0].health.fall", 8, "1 to 1000"),
        (&with("", "health = { interval = \"0s\" }"), "pool[0].health.interval", 8, "longer than nothing"),
        (&with("", "health = { timeout = \"0s\" }"), "pool[0].health.timeout", 8, "longer than nothing"),
        (&with("", "health = { timeout = \"3s\" }"), "pool[0].health.timeout", 8, "longer than interval (2s)"),
        (&with_node("weight = 0"), "pool[0].node[0].weight", 11, "above 0"),
        (&with_node("weight = -1.5"), "pool[0].node[0].weight", 11, "above 0"),
        (&with_node("weight = inf"), "pool[0].node[0].weight", 11, "above 0"),
        (&with_node("capacity = { connections = 0 }"), "pool[0].node[0].capacity.connections", 11, "above 0"),
        (&with_node("capacity = { requests_in_flight = 0 }"), "pool[0].node[0].capacity.requests_in_flight", 11, "above 0"),
        (&with_node("capacity.requests_per_second = nan"), "pool[0].node[0].capacity.requests_per_second", 11, "above 0"),
        (&with_node("[pool.node.capacity]\nbytes_per_second = 0"), "pool[0].node[0].capacity.bytes_per_second", 12, "above 0"),
        (&with_node("capacity = { response_time_ms = -2 }"), "pool[0].node[0].capacity.response_time_ms", 11, "above 0"),
        (&with("affinity = [\n  { header = \"x\" },\n  { source_address = 129 },\n]", ""), "listener[0].affinity[1].source_address", 7, "1 to 128"),
        (&with("affinity = [{ source_address = 0 }]", ""), "listener[0].affinity[0].source_address", 5, "1 to 128"),
    ]);
}

#[test]
fn names_and_paths_that_cannot_be_meant_are_refused() {
    #[rustfmt::skip]
    refused(&[
        (&with("affinity = [{ cookie = \"\" }]", ""), "listener[0].affinity[0].cookie", 5, "not the name of a cookie"),
        (&with("affinity = [{ cookie = { name = \"a b\" } }]", ""), "listener[0].affinity[0].cookie", 5, "not the name"),
        (&with("affinity = [{ header = \"x user\" }]", ""), "listener[0].affinity[0].header", 5, "not the name of a header"),
        (&with("affinity = [{ header = \"Foreshift-Session\" }]", ""), "listener[0].affinity[0].header", 5, "dropped"),
        (&with("affinity = [{ query = \"\" }]", ""), "listener[0].affinity[0].query", 5, "empty"),
        (&with("affinity = [{ bearer_claim = \" \" }]", ""), "listener[0].affinity[0].bearer_claim", 5, "empty"),
        (&with("", "handoff_path = \"/x\""), "pool[0].handoff_path", 8, "set both or neither"),
        (&with("", "resume_path = \"/x\""), "pool[0].resume_path", 8, "set both or neither"),
        (&with("proxy_protocol = \"v1\"", ""), "listener[0].proxy_protocol", 5, "list the load balancers' networks in trusted"),
        (&with("proxy_protocol = \"v1\"\ntrusted = []", ""), "listener[0].proxy_protocol", 5, "nobody is trusted"),
        (&with("trusted = [\"10.0.0.0/8\"]", ""), "listener[0].trusted", 5, "set proxy_protocol"),
        (&with("framing = \"line\"", ""), "listener[0].framing", 5, "it is for protocol = \"tcp\""),
        (&with("protocol = \"tcp\"\nframing = { length_prefix = 3 }", ""), "listener[0].framing.length_prefix", 6, "use 1, 2, 4 or 8"),
        (&with("protocol = \"tcp\"\nframing = \"resp\"\nmax_connection_age = \"10m\"", ""), "listener[0].max_connection_age", 7, "leave one of them out"),
        (&with("max_connection_age = \"10m\"", ""), "listener[0].max_connection_age", 5, "it is for protocol = \"tcp\""),
        (&with("protocol = \"tcp\"\naffinity = [{ cookie = \"sid\" }]", ""), "listener[0].affinity[0]", 6, "use { source_address = 32 }"),
        (&with("protocol = \"tcp\"\nforwarded = true", ""), "listener[0].forwarded", 6, "has no headers"),
        (&with("protocol = \"tcp\"\nrequest_id = \"X-Id\"", ""), "listener[0].request_id", 6, "has no headers"),
        (&with("protocol = \"tcp\"\nmax_connection_age = \"0s\"", ""), "listener[0].max_connection_age", 6, ""),
        (&with("protocol = \"tcp\"", "handoff_path = \"/x\"\nresume_path = \"/y\""), "pool[0].handoff_path", 8, "not asked over HTTP"),
        (&with("protocol = \"tcp\"", "upstream_protocol = \"h2c\""), "pool[0].upstream_protocol", 8, "passes on whatever is spoken"),
        (&with("protocol = \"tcp\"", "failover = \"resume\""), "pool[0].failover", 8, "no other node can go on"),
        (&with("", "handoff_path = \"/x\"\nresume_path = \"y\""), "pool[0].resume_path", 9, "does not start with '/'"),
        (&with("", "health = { path = \"healthz\" }"), "pool[0].health.path", 8, "does not start with '/'"),
        (&with("", "health = { path = \"/a b\" }"), "pool[0].health.path", 8, "%XX"),
        (&with("", "health = { path = \"/a\\r\\nHost: x\" }"), "pool[0].health.path", 8, "%XX"),
        ("[api]\naddress = \"0.0.0.0:8090\"", "api.address", 2, "loopback only"),
        ("[api]\naddress = \"192.168.1.1:8090\"", "api.address", 2, "127.0.0.1"),
    ]);
}

#[test]
fn what_belongs_together_must_fit_together() {
    let listener = |name: &str, address: &str| {
        format!("[[listener]]\nname = \"{name}\"\naddress = \"{address}\"\npool = \"app\"\n")
    };
    let pool = "[[pool]]\nname = \"app\"\n";
    let node =
        |id: &str, port: u16| format!("[[pool.node]]\nid = \"{id}\"\naddress = \"127.0.0.1:{port}\"\n");
    let both = |a: &str, b: &str| format!("{a}{b}{pool}");
    #[rustfmt::skip]
    refused(&[
        ("", "listener", 1, "there is none; add a [[listener]]"),
        (&format!("{}{pool}", listener("", "127.0.0.1:1")), "listener[0].name", 2, "empty"),
        (&both(&listener("web", "127.0.0.1:1"), &listener("web", "127.0.0.1:2")), "listener[1].name", 6, "name of listener[0] too"),
        (&both(&listener("a", "127.0.0.1:1"), &listener("b", "127.0.0.1:1")), "listener[1].address", 7, "use another port"),
        (&both(&listener("a", "0.0.0.0:1"), &listener("b", "127.0.0.1:1")), "listener[1].address", 7, "use another port"),
        (&both(&listener("a", "0.0.0.0:8090"), ""), "listener[0].address", 3, "the API listens"),
        (&listener("a", "127.0.0.1:1").replace("app", "shop"), "listener[0].pool", 4, "there is none; add a [[pool]]"),
        (&both(&listener("a", "127.0.0.1:1").replace("app", "shop"), "[[pool]]\nname = \"game\"\n"), "listener[0].pool", 4, "there are: game, app"),
        (&format!("{}{pool}\n{pool}", listener("a", "127.0.0.1:1")), "pool[1].name", 9, "name of pool[0] too"),
        (&format!("{}{pool}{}{}", listener("a", "127.0.0.1:1"), node("n", 1001), node("n", 1002)), "pool[0].node[1].id", 11, "id of node[0]"),
        (&format!("{}{pool}{}", listener("a", "127.0.0.1:1001"), node("n", 1001)), "pool[0].node[0].address", 9, "in a circle"),
        (&format!("{}{pool}{}", listener("a", "127.0.0.1:1001"), node("n", 0)), "pool[0].node[0].address", 9, "cannot be connected to"),
    ]);
    for text in [
        both(&listener("a", "127.0.0.1:0"), &listener("b", "127.0.0.1:0")),
        both(&listener("a", "0.0.0.0:1"), &listener("b", "[::1]:1")),
        both(&listener("a", "127.0.0.1:1"), &listener("b", "127.0.0.2:1")),
    ] {
        Config::parse(&text).unwrap();
    }
}

#[test]
fn all_problems_are_told_in_the_order_of_their_lines() {
    let text = with(
        "affinity = [{ query = \"\" }]",
        "load_threshold = 0\nhandoff_path = \"x\"",
    );
    let problems = Config::problems(&text);
    let found: Vec<_> = problems.iter().map(|p| (p.line, p.key.as_str())).collect();
    assert_eq!(
        found,
        [
            (5, "listener[0].affinity[0].query"),
            (8, "pool[0].load_threshold"),
            (9, "pool[0].handoff_path"),
            (9, "pool[0].handoff_path"),
        ]
    );
    assert_eq!(Config::parse(&text).unwrap_err(), problems[0]);
    assert_eq!(
        problems[1].to_string(),
        "line 8: pool[0].load_threshold: 0 is out of range: 1 to 100"
    );
    assert_eq!(Config::problems(ACCEPTED), []);
}

/// A pool that prefers zone `z1`, with one node.
fn with_issued_cookie_and_zone(node: &str) -> String {
    let issued = "affinity = [{ cookie = { name = \"s\", issue = true } }]";
    let pool = "zone_preference = 2\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9001\"";
    format!(
        "[ingress]\nzone = \"z1\"\n{}",
        with(issued, &format!("{pool}\n{node}"))
    )
}

#[test]
fn a_zone_is_preferred_only_where_the_own_one_is_known() {
    let zone = |zone: &str, factor: &str| {
        let pool = with("", &format!("zone_preference = {factor}"));
        format!("[ingress]\nzone = \"{zone}\"\n{pool}")
    };
    refused(&[
        (
            &with("", "zone_preference = 2"),
            "pool[0].zone_preference",
            8,
            "set ingress.zone",
        ),
        (
            &zone("z1", "0.5"),
            "pool[0].zone_preference",
            10,
            "out of range: 1 to 100",
        ),
        (&zone("z1", "nan"), "pool[0].zone_preference", 10, "out of range"),
        (&zone(" ", "2"), "ingress.zone", 2, "empty"),
        (&zone(&"z".repeat(65), "2"), "ingress.zone", 2, "64"),
    ]);
    let near = Config::parse(&with_issued_cookie_and_zone("zone = \"z1\"")).unwrap();
    let about_zones = |w: &foreshift_wire::ConfigWarning| w.key.ends_with("zone_preference");
    assert!(!near.warnings().iter().any(about_zones));
}

#[test]
fn what_is_probably_not_meant_is_a_warning_with_key_and_line() {
    let unused = "[[pool]]\nname = \"spare\"\nhealth = {}\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:1\"\ncapacity.connections = 1";
    for (text, key, line, part) in [
        (with("", ""), "pool[0]", 6, "no node"),
        (
            with_node("capacity.connections = 1"),
            "pool[0].health",
            6,
            "not set",
        ),
        (with("", unused), "pool[1].name", 9, "no listener"),
        (with_node(""), "pool[0].node[0].capacity", 8, "load score"),
        (
            with_node("[[pool.node]]\nid = \"b\"\naddress = \"127.0.0.1:9001\""),
            "pool[0].node[1].address",
            13,
            "same",
        ),
        (
            with("affinity = [{ source_address = 32 }, { query = \"q\" }]", ""),
            "listener[0].affinity[1]",
            5,
            "never used",
        ),
        (
            format!("[ingress]\nzone = \"z1\"\n{}", with("", "zone_preference = 2")),
            "pool[0].zone_preference",
            10,
            "issues a cookie",
        ),
        (
            with_issued_cookie_and_zone("zone = \"z2\""),
            "pool[0].zone_preference",
            10,
            "in ingress.zone",
        ),
        (
            with(
                "affinity = [{ cookie = { name = \"s\", issue = true, same_site = \"none\" } }]",
                "",
            ),
            "listener[0].affinity[0].cookie",
            5,
            "Secure",
        ),
    ] {
        let config = Config::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let warnings = config.warnings();
        let found = warnings
            .iter()
            .find(|w| w.key == key)
            .unwrap_or_else(|| panic!("{warnings:?}\n{text}"));
        assert!(found.message.contains(part), "{found}");
        assert_eq!(Config::line_of(&text, key), line, "{found}\n{text}");
    }
}

#[test]
fn no_text_whatsoever_panics() {
    use proptest::prelude::*;
    let pieces = proptest::sample::select(vec![
        "[",
        "]",
        "[[",
        "]]",
        "pool",
        ".",
        "node",
        "=",
        "\"",
        "{",
        "}",
        ",",
        "\n",
        "1",
        "-",
        "e9",
        "nan",
        "api",
        "é",
        "\0",
        "listener",
        "affinity",
        "cookie",
        "name",
        "'''",
        "#",
        "check_interval",
        "\"1s\"",
        " ",
    ]);
    let text = proptest::collection::vec(pieces, 0..40).prop_map(|v| v.concat());
    proptest!(|(text in text)| {
        for problem in Config::problems(&text) {
            prop_assert!(problem.line >= 1 && problem.line <= text.lines().count().max(1) + 1);
        }
    });
}

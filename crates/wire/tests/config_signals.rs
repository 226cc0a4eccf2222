//! The keys by which nodes report: `orca`, `agent_check`, `prometheus`, `[agent]`.

use foreshift_wire::{Config, Orca};

fn with(pool: &str) -> String {
    format!(
        "[[listener]]\nname = \"web\"\naddress = \"127.0.0.1:8080\"\npool = \"app\"\n\
         affinity = [{{ header = \"x\" }}]\n[[pool]]\nname = \"app\"\n{pool}\n"
    )
}

#[test]
fn what_cannot_be_meant_is_refused_by_its_key() {
    for (text, key, said) in [
        (with("orca = \"yes\""), "pool[0].orca", "true, false or a table"),
        (with("orca = { in_bnad = true }"), "pool[0].orca", "in_bnad"),
        (
            with("orca = { in_band = false }"),
            "pool[0].orca.in_band",
            "nothing is read",
        ),
        (
            with("orca = { out_of_band = \"10ms\" }"),
            "pool[0].orca.out_of_band",
            "100ms to 1h",
        ),
        (
            with("orca = { port = 9000 }"),
            "pool[0].orca.port",
            "only with out_of_band",
        ),
        (
            with("orca = { out_of_band = \"10s\", port = 0 }"),
            "pool[0].orca.port",
            "cannot be connected to",
        ),
        (
            with("orca = { metrics = [\"named_metrics.q\", \"cpu\"] }"),
            "pool[0].orca.metrics[1]",
            "named_metrics.queue",
        ),
        (with("agent_check = {}"), "pool[0].agent_check.port", "missing"),
        (
            with("agent_check = { port = 0 }"),
            "pool[0].agent_check.port",
            "cannot be connected to",
        ),
        (
            with("agent_check = { port = 70000 }"),
            "pool[0].agent_check.port",
            "65535",
        ),
        (
            with("agent_check = { port = 1, interval = \"0s\" }"),
            "pool[0].agent_check.interval",
            "100ms to 1h",
        ),
        (with("prometheus = {}"), "pool[0].prometheus.map", "missing"),
        (
            with("prometheus = { map = {} }"),
            "pool[0].prometheus.map",
            "names no signal",
        ),
        (
            with("prometheus = { map = { cpu = \"a b\" } }"),
            "pool[0].prometheus.map.cpu",
            "write it as in",
        ),
        (
            with("prometheus = { map = { cpu = 3 } }"),
            "pool[0].prometheus.map.cpu",
            "a metric in quotes",
        ),
        (
            with("prometheus = { map = { cpu = { metric = \"a\", scale = 0 } } }"),
            "pool[0].prometheus.map.cpu.scale",
            "no factor",
        ),
        (
            with("prometheus = { map = { load = \"a\" } }"),
            "pool[0].prometheus.map",
            "load",
        ),
        (
            with("prometheus = { path = \"m\", map = { cpu = \"a\" } }"),
            "pool[0].prometheus.path",
            "does not start with '/'",
        ),
        (
            format!("[agent]\ntoken_file = \"\"\n{}", with("")),
            "agent.token_file",
            "is empty",
        ),
        (format!("[agent]\n{}", with("")), "agent.token_file", "missing"),
    ] {
        let error = Config::parse(&text).expect_err(&text);
        assert!(
            error.key.starts_with(key) && error.message.contains(said),
            "{text}\n{error}"
        );
    }
}

#[test]
fn orca_is_a_switch_or_a_table() {
    let orca = |text: &str| Config::parse(&with(text)).unwrap().pool.remove(0).orca;
    assert_eq!(orca(""), None);
    assert_eq!(orca("orca = false"), None);
    assert_eq!(orca("orca = true"), Some(Orca::default()));
    assert_eq!(orca("orca = {}"), Some(Orca::default()));
    let table = orca("orca = { out_of_band = \"10s\", metrics = [\"utilization.disk\"] }").unwrap();
    assert_eq!((table.in_band, table.metrics.len()), (true, 1));
}

#[test]
fn a_configuration_with_all_of_it_reads_back_as_it_was_written() {
    let text = with(
        "orca = { out_of_band = \"10s\" }\nagent_check = { port = 9999, send = \"x\\n\" }\n\
         prometheus = { map = { cpu = \"a{b!=\\\"c\\\"}\", memory = { metric = \"d\", over = \"e\", invert = true } } }",
    );
    let config = Config::parse(&text).unwrap();
    let written = toml::to_string(&config).unwrap();
    assert_eq!(Config::parse(&written).unwrap(), config, "{written}");
}

//! `docs/configuration.md` has every key with its default, and no other.

use std::collections::{BTreeMap, BTreeSet};

use foreshift_wire::{AgentCheck, AgentReports, MetricMapping, Orca, PrometheusScrape, SignalMap};
use foreshift_wire::{
    Capacity, Circuit, Config, Duration, Failover, Framing, HealthCheck, Mode, ModelScaling, ModelSignal,
    Outlier, Pool, PoolForecast, PoolTls, ProxyVersion, ReplayWay, Retry, SlowStart, Strategy, Traces,
    Trigger, UpstreamProtocol,
};
use foreshift_wire::{
    ListenerCertificate, NodeId, PoolName, Session, SessionAccess, SessionPartition, SessionToken,
};
use toml::Value;

const DOC: &str = include_str!("../../../docs/configuration.md");

/// The least that is a configuration: what it serialises to beyond this text are defaults.
const LEAST: &str = r#"
    [ingress]
    traces = {}
    [agent]
    token_file = "var/agent.token"
    [session]
    tls = { certificate = "state.pem", key = "state.key" }
    [[session.partition]]
    name = "cart"
    [[session.token]]
    file = "var/a.token"
    [[listener]]
    name = "web"
    address = "127.0.0.1:8080"
    pool = "app"
    affinity = [{ cookie = { name = "sid" } }]
    tls = { certificate = "site.pem", key = "site.key" }
    [[pool]]
    name = "app"
    health = {}
    circuit = {}
    tls = {}
    outlier = {}
    slow_start = { window = "30s" }
    orca = true
    agent_check = { port = 9100 }
    prometheus = { map = { cpu = { metric = "x" } } }
    [[pool.node]]
    id = "a"
    address = "127.0.0.1:9001"
"#;

/// Every key set. Written out field by field where a key can be absent, so that a new one does not compile until
/// it is here, and does not pass until it is in the document.
fn all_keys() -> Config {
    let selectors = r#"affinity = [{ cookie = { name = "sid" } }, { header = "x" }, { query = "q" },
        { path_segment = 1 }, { bearer_claim = "sub" }, { source_address = 32 }, { client_certificate = "subject" }]"#;
    let text = LEAST
        .replace(r#"affinity = [{ cookie = { name = "sid" } }]"#, selectors)
        .replace(r#"key = "site.key""#, r#"key = "site.key", client_ca = "ca.pem""#);
    let mut config = Config::parse(&text).unwrap();
    config.ingress.workers = Some(2);
    config.ingress.zone = Some("z1".into());
    config.ingress.handover_socket = Some("handover".into());
    config.listener[0].public_url = Some("https://www.example".into());
    config.ingress.traces = Some(Traces {
        endpoint: Some("http://127.0.0.1:4318".into()),
        ..Traces::default()
    });
    config.agent = Some(AgentReports {
        token_file: "var/agent.token".into(),
        address: Some(([127, 0, 0, 1], 8091).into()),
    });
    config.session = Some(session());
    config.listener[0].request_id = Some("X-Request-Id".into());
    config.listener[0].proxy_protocol = Some(ProxyVersion::V1);
    config.listener[0].framing = Some(Framing::LengthPrefix(4));
    config.listener[0].max_connection_age = Some(Duration::from_secs(600));
    config.listener[0].trusted = vec!["10.0.0.0/8".parse().unwrap()];
    let Pool {
        name,
        mut node,
        balance_factor,
        ..
    } = config.pool.remove(0);
    let duration = Duration::from_secs(1);
    node[0].maxconn = Some(1);
    node[0].required_partitions = vec!["cart".parse().unwrap()];
    node[0].capacity = Capacity {
        requests_in_flight: Some(1),
        connections: Some(1),
        requests_per_second: Some(1.0),
        bytes_per_second: Some(1.0),
        response_time_ms: Some(1.0),
    };
    config.pool.push(Pool {
        name,
        mode: Mode::Act,
        load_threshold: 80.0,
        trigger: Trigger::Predicted,
        headroom: 5.0,
        trigger_quantile: 0.9,
        migration_interval: duration,
        migration_strategy: Strategy::Proxy,
        migration_within: duration,
        reconnects_per_second: 1,
        migration_deadline: duration,
        check_interval: duration,
        max_moves_per_tick: 1,
        balance_factor,
        forecast: PoolForecast {
            model_path: Some("model.onnx".into()),
            scaling: ModelScaling::None,
            signals: vec![ModelSignal::Cpu],
        },
        health: Some(HealthCheck {
            path: Some("/".into()),
            ..HealthCheck::default()
        }),
        handoff_path: Some("/handoff".into()),
        resume_path: Some("/resume".into()),
        replay: ReplayWay::Push,
        replay_path: Some("/state".into()),
        failover: Failover::Close,
        upstream_protocol: UpstreamProtocol::Auto,
        send_proxy_protocol: Some(ProxyVersion::V2),
        tls: Some(PoolTls {
            ca: Some("ca.pem".into()),
            server_name: Some("app.internal".into()),
            verify: true,
            certificate: Some("us.pem".into()),
            key: Some("us.key".into()),
        }),
        connect_timeout: duration,
        request_timeout: duration,
        retry: Retry {
            per_try_timeout: Some(duration),
            ..Retry::default()
        },
        circuit: Some(Circuit {
            connections: Some(1),
            requests: Some(1),
            retries: Some(1),
            ..Circuit::default()
        }),
        outlier: Some(Outlier::default()),
        slow_start: Some(SlowStart {
            window: duration,
            aggression: 1.0,
            min_share: 0.1,
        }),
        zone_preference: Some(1.5),
        orca: Some(Orca {
            in_band: true,
            out_of_band: Some(duration),
            port: Some(1),
            metrics: vec!["named_metrics.queue".into()],
        }),
        agent_check: Some(AgentCheck {
            port: 1,
            interval: duration,
            send: Some("hello".into()),
        }),
        prometheus: Some(Box::new(PrometheusScrape {
            path: "/metrics".into(),
            port: Some(1),
            interval: duration,
            map: signal_map(),
        })),
        node,
    });
    config
}

fn session() -> Session {
    Session {
        urls: vec!["redis://127.0.0.1:6379".into()],
        redis_view: Some(([127, 0, 0, 1], 6390).into()),
        address: Some(([127, 0, 0, 1], 8092).into()),
        tls: Some(ListenerCertificate {
            certificate: "state.pem".into(),
            key: "state.key".into(),
            client_ca: Some("ca.pem".into()),
            client_auth: Default::default(),
        }),
        partition: vec![SessionPartition {
            name: "cart".parse().unwrap(),
            pool: PoolName::new("app").ok(),
            max_bytes: Some(1),
            lifetime: Some(Duration::from_secs(1)),
            required_by: vec!["*".into()],
            secret: true,
        }],
        token: vec![SessionToken {
            file: "var/a.token".into(),
            node: NodeId::new("a").ok(),
            partitions: vec!["cart".parse().unwrap()],
            access: SessionAccess::Read,
        }],
        ..Session::default()
    }
}

fn signal_map() -> SignalMap {
    let mapping = MetricMapping {
        metric: "x".parse().unwrap(),
        over: "y".parse().ok(),
        rate: Some(true),
        scale: 1.0,
        invert: false,
    };
    SignalMap {
        cpu: Some(mapping.clone()),
        memory: Some(mapping.clone()),
        utilisation: Some(mapping),
    }
}

/// All keys that hold a value, without indices: `pool.node.id`.
fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                leaves(value, &path, found);
            }
        }
        Value::Array(array) if !array.is_empty() => array.iter().for_each(|v| leaves(v, path, found)),
        // The document writes 80 where the type is a float.
        value => drop(found.insert(path.into(), value.to_string().trim_end_matches(".0").into())),
    }
}

fn leaves_of(config: &Config) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    leaves(&Value::try_from(config).unwrap(), "", &mut found);
    found
}

/// Key and default of every row of the document.
fn documented() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut rows = BTreeMap::new();
    for line in DOC.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.replace(['`', '[', ']'], "");
        } else if let Some(row) = line.strip_prefix("| `") {
            let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
            let (key, default) = (cells.next().unwrap(), cells.next().unwrap());
            let before = rows.insert(format!("{section}.{key}"), default.to_owned());
            assert_eq!(before, None, "{section}.{key} is there twice");
        }
    }
    rows
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let keys: BTreeSet<String> = leaves_of(&all_keys()).into_keys().collect();
    let documented = documented();
    for key in &keys {
        // Described once, for cpu.
        let key = &key
            .replace(".map.memory.", ".map.cpu.")
            .replace(".map.utilisation.", ".map.cpu.");
        assert!(
            documented.contains_key(key),
            "{key} is not in docs/configuration.md"
        );
    }
    for key in documented.keys() {
        let inner = format!("{key}.");
        let exists = keys.contains(key) || keys.iter().any(|k| k.starts_with(&inner));
        assert!(exists, "docs/configuration.md has {key}, which is no key");
    }
}

#[test]
fn every_documented_default_is_the_default() {
    let defaults = leaves_of(&Config::parse(LEAST).unwrap());
    let sections = [
        "ingress.traces",
        "session.tls",
        "pool.circuit",
        "pool.outlier",
        "pool.slow_start",
        "pool.health",
        "pool.orca",
        "pool.agent_check",
        "pool.prometheus",
        "pool.prometheus.map.cpu",
        "listener.affinity",
        "listener.affinity.cookie",
    ];
    for (key, default) in documented() {
        match default.as_str() {
            "required" => assert!(LEAST.contains(key.rsplit('.').next().unwrap()), "{key}"),
            "none" if sections.contains(&key.as_str()) => {}
            "none" => assert_eq!(defaults.get(&key), None, "{key}"),
            // Spelled out in LEAST to have what is in it.
            "[]" if sections.contains(&key.as_str()) => {}
            "[]" => assert_eq!(defaults.get(&key).map(String::as_str), Some("[]"), "{key}"),
            default => {
                // Of a list, what is in it.
                let default = default.trim_matches(['[', ']']);
                assert_eq!(defaults.get(&key).map(String::as_str), Some(default), "{key}");
            }
        }
    }
}

#[test]
fn every_example_is_a_configuration() {
    let examples: Vec<&str> = DOC
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```").map(|(example, _)| example))
        .collect();
    assert!(!examples.is_empty());
    for example in examples {
        let config = Config::parse(example).unwrap_or_else(|e| panic!("{e}\n{example}"));
        assert_eq!(config.warnings(), []);
    }
}

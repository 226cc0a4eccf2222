//! Nodes that are asked how they are: an agent, a page of metrics, reports over gRPC.

mod common;

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use common::{Running, config, node_report, pool_report, start};
use foreshift_telemetry::orca::{OrcaLoadReport, OrcaLoadReportRequest};
use http_body_util::{BodyExt, StreamBody};
use hyper::{HeaderMap, Request, Response, body::Frame, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use serde_json::Value;

/// A server that answers every connection with what `answer` makes of its first line.
fn serve(answer: impl Fn(String) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut line = String::new();
            let _ = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
            let _ = stream.write_all(answer(line).as_bytes());
        }
    });
    address
}

fn two_nodes(pool: &str) -> Running {
    start(&config(&format!("{pool}\n{}", common::TWO_NODES)))
}

fn node(running: &Running, id: &str) -> Value {
    let nodes = running.get("/v1/pools/app/nodes").ok();
    let nodes = nodes.as_array().unwrap().iter();
    nodes.clone().find(|node| node["id"] == id).unwrap().clone()
}

fn source(node: &Value, kind: &str) -> Option<Value> {
    let sources = node["sources"].as_array().unwrap().iter();
    sources.clone().find(|source| source["kind"] == kind).cloned()
}

#[test]
fn an_agents_words_set_weight_and_state_and_a_silent_agent_changes_nothing() {
    let says = Arc::new(Mutex::new("up ready 50%\n".to_owned()));
    let told = says.clone();
    let agent = serve(move |line| {
        assert_eq!(line, "load?\n");
        told.lock().unwrap().clone()
    });
    let port = agent.port();
    let running = two_nodes(&format!(
        "agent_check = {{ port = {port}, interval = \"100ms\", send = \"load?\\n\" }}"
    ));
    running.until("the agent's weight counts", |running| {
        (node(running, "a")["agent"]["weight"] == 0.5).then_some(())
    });
    assert_eq!(running.routes().nodes[0].weight(), 0.5);
    for (line, state, reason) in [
        ("drain\n", "draining", "its agent says drain"),
        ("up\n", "draining", "its agent says drain"),
        ("maint\n", "down", "its agent says maint"),
        (
            "ready down #no database\n",
            "down",
            "its agent says down: no database",
        ),
        ("", "down", "its agent says down: no database"),
        ("nonsense\n", "down", "its agent says down: no database"),
        ("up\n", "ready", ""),
    ] {
        *says.lock().unwrap() = line.to_owned();
        let before = source(&node(&running, "a"), "agent_check").unwrap();
        let count =
            |source: &Value| source["reports"].as_u64().unwrap() + source["failures"].as_u64().unwrap();
        running.until("the agent was asked twice", |running| {
            let now = source(&node(running, "a"), "agent_check").unwrap();
            (count(&now) >= count(&before) + 2).then_some(())
        });
        let node = node(&running, "a");
        assert_eq!(node["observed_state"], state, "{line:?}");
        assert_eq!(
            node["state_reason"].as_str().unwrap_or_default(),
            reason,
            "{line:?}"
        );
        let error = source(&node, "agent_check").unwrap()["error"].clone();
        assert_eq!(error.is_string(), line == "nonsense\n", "{line:?}: {error}");
    }
    // What the operator took out the agent does not bring back.
    running
        .put("/v1/pools/app/nodes/a/state", "{\"state\":\"draining\"}")
        .ok();
    running.next_tick();
    assert_eq!(node(&running, "a")["observed_state"], "draining");
}

#[test]
fn an_agent_that_cannot_be_reached_is_shown_and_its_node_stays_in() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let running = two_nodes(&format!(
        "agent_check = {{ port = {}, interval = \"100ms\" }}",
        closed.port()
    ));
    let error = running.until("the agent was asked", |running| {
        source(&node(running, "a"), "agent_check")?["error"]
            .as_str()
            .map(str::to_owned)
    });
    assert!(error.starts_with("connect: "), "{error}");
    assert_eq!(node(&running, "a")["observed_state"], "ready");
}

#[test]
fn a_page_of_metrics_makes_signals_and_one_that_cannot_be_read_says_so() {
    let busy = AtomicU32::new(0);
    let broken = Arc::new(Mutex::new(false));
    let breaks = broken.clone();
    let exporter = serve(move |line| {
        assert_eq!(line, "GET /stats?format=prometheus HTTP/1.1\r\n");
        // A quarter of each second that passed on a clock that always runs.
        let seconds = busy.fetch_add(1, Ordering::Relaxed);
        let page = match *breaks.lock().unwrap() {
            true => "<html>no page</html>".to_owned(),
            false => format!(
                "# TYPE cpu_seconds counter\ncpu_seconds{{mode=\"user\"}} {}\ncpu_seconds{{mode=\"idle\"}} {}\n\
                 memory_free 25\nmemory_all 100\n",
                seconds,
                seconds * 3
            ),
        };
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len())
    });
    let running = two_nodes(&format!(
        "prometheus = {{ path = \"/stats?format=prometheus\", port = {}, interval = \"100ms\", map = {{\n\
         cpu = {{ metric = \"cpu_seconds{{mode!=\\\"idle\\\"}}\", over = \"cpu_seconds\" }},\n\
         memory = {{ metric = \"memory_free\", over = \"memory_all\", invert = true }},\n\
         utilisation = \"absent\" }} }}",
        exporter.port()
    ));
    let signals = running.until("the page is read twice", |running| {
        let signals = node(running, "a")["signals"].clone();
        signals["cpu"].is_f64().then_some(signals)
    });
    assert_eq!(
        (signals["cpu"].as_f64(), signals["memory"].as_f64()),
        (Some(0.25), Some(0.75))
    );
    let page = source(&node(&running, "a"), "prometheus").unwrap();
    assert_eq!(page["error"], "utilisation: the page has no absent");
    assert_eq!(
        (&page["stale"], &page["stale_after_ms"]),
        (&Value::Bool(false), &5_000.into())
    );
    *broken.lock().unwrap() = true;
    running.until("the fault is shown", |running| {
        let error = source(&node(running, "a"), "prometheus")?["error"]
            .as_str()?
            .to_owned();
        error.contains("line 1 of the page").then_some(())
    });
}

/// A node with the ORCA service; counts what it is asked. `reports` are answered, then the call ends with `status`.
fn orca_node(
    running: &tokio::runtime::Runtime,
    reports: Vec<OrcaLoadReport>,
    status: &'static str,
) -> (SocketAddr, Arc<AtomicU32>) {
    let listener = running
        .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
        .unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counts = asked.clone();
    running.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reports, counts) = (reports.clone(), counts.clone());
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let (reports, counts) = (reports.clone(), counts.clone());
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    let message = OrcaLoadReportRequest::decode(&body[5..]).expect("a request");
                    assert_eq!(message.report_interval.expect("an interval").seconds, 1);
                    assert_eq!(path, "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics");
                    counts.fetch_add(1, Ordering::Relaxed);
                    let frames = reports.iter().map(|report| {
                        let message = report.encode_to_vec();
                        let mut frame = vec![0];
                        frame.extend((message.len() as u32).to_be_bytes());
                        frame.extend(message);
                        Frame::data(Bytes::from(frame))
                    });
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", status.parse().expect("a status"));
                    let ends = (!status.is_empty()).then(|| Frame::trailers(trailers));
                    let frames: Vec<Result<_, hyper::Error>> = frames.chain(ends).map(Ok).collect();
                    // Without a status the call stays open, as a healthy one does.
                    let open = futures_util::stream::pending();
                    let body = match status {
                        "" => StreamBody::new(futures_util::StreamExt::chain(
                            futures_util::stream::iter(frames),
                            open,
                        ))
                        .boxed_unsync(),
                        _ => StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync(),
                    };
                    let head = Response::builder().header("content-type", "application/grpc");
                    Ok::<_, hyper::Error>(head.body(body).expect("a response"))
                }
            });
            let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    (address, asked)
}

#[test]
fn reports_over_grpc_are_taken_as_they_come_and_a_call_that_ends_is_begun_again() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = OrcaLoadReport {
        cpu_utilization: 0.5,
        named_metrics: [("queue".into(), 0.75)].into(),
        ..Default::default()
    };
    let garbage = OrcaLoadReport {
        mem_utilization: 7.0,
        ..Default::default()
    };
    let (address, asked) = orca_node(&runtime, vec![report, garbage], "10");
    let running = two_nodes(&format!(
        "orca = {{ out_of_band = \"1s\", port = {}, metrics = [\"named_metrics.queue\"] }}",
        address.port()
    ));
    let signals = running.until("the report counts", |running| {
        let signals = node(running, "a")["signals"].clone();
        signals["cpu"].is_f64().then_some(signals)
    });
    assert_eq!(
        (&signals["cpu"], &signals["utilisation"]),
        (&0.5.into(), &0.75.into())
    );
    running.until("it is asked again after its end", |_| {
        (asked.load(Ordering::Relaxed) >= 4).then_some(())
    });
    let told = source(&node(&running, "a"), "orca_out_of_band").unwrap();
    assert!(told["failures"].as_u64().unwrap() >= 2, "{told}");
}

#[test]
fn a_node_without_the_service_is_asked_once_a_connection() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (address, asked) = orca_node(&runtime, Vec::new(), "12");
    let running = two_nodes(&format!(
        "orca = {{ out_of_band = \"1s\", port = {} }}",
        address.port()
    ));
    for id in ["a", "b"] {
        running.until("it is known that there is no service", |running| {
            let error = source(&node(running, id), "orca_out_of_band")?["error"]
                .as_str()?
                .to_owned();
            error.contains("does not have the service").then_some(())
        });
    }
    // Longer than the pause after a failure.
    for _ in 0..25 {
        running.next_tick();
    }
    assert_eq!(asked.load(Ordering::Relaxed), 2, "once for each of the two nodes");
}

#[test]
fn a_node_that_says_it_is_idle_is_believed_on_its_latency() {
    let nodes =
        "[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9001\"\ncapacity = { response_time_ms = 50 }\n";
    let running = start(&config(nodes));
    // Bucket 416 of the histogram is 69 to 71 ms.
    let mut slow = node_report("a", 100, 1);
    slow.response = foreshift_wire::LatencyBuckets(vec![(416, 100)]);
    running
        .plane
        .set(|seen| seen.pools = vec![pool_report(vec![slow])]);
    running
        .post("/v1/pools/app/nodes/a/report", "{\"cpu\":0.01,\"memory\":0.02}")
        .ok();
    let node = running.until("both are known", |running| {
        let node = node(running, "a");
        let both = node["signals"]["cpu"].is_f64() && node["signals"]["response_ms_p99"].is_f64();
        both.then_some(node)
    });
    assert!(node["load_score"].as_f64().unwrap() > 100.0, "{node}");
    assert_eq!(node["signals"]["cpu"], 0.01);
}

#[test]
fn garbage_is_refused_by_name_and_reports_go_stale_where_they_can_be_seen() {
    let running = two_nodes("");
    for (body, name) in [
        ("{\"cpu\":-0.5}", "cpu"),
        ("{\"memory\":1e300}", "memory"),
        ("{\"utilisation\":1e18}", "utilisation"),
        ("{\"bytes_per_s\":-1}", "bytes_per_s"),
    ] {
        let detail = running.post("/v1/pools/app/nodes/a/report", body).problem(422);
        assert!(
            detail.starts_with(name) && detail.contains("out of range"),
            "{body}: {detail}"
        );
    }
    running
        .post("/v1/pools/app/nodes/a/report", "{\"cpu\":NaN}")
        .problem(400);
    assert_eq!(node(&running, "a")["sources"], Value::Array(Vec::new()));
    running.post("/v1/pools/app/nodes/a/report", "{\"cpu\":0.5}").ok();
    let api = source(&node(&running, "a"), "api").unwrap();
    assert_eq!(
        (&api["load"]["cpu"], &api["stale"]),
        (&0.5.into(), &Value::Bool(false))
    );
    assert!(api["age_ms"].as_u64().unwrap() < 10_000, "{api}");
}

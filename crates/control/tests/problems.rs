//! Every failure is a problem that says what to do.

mod common;

#[test]
fn every_failure_is_a_problem() {
    let running = common::start(&common::config(common::TWO_NODES));
    let json = [("content-type", "application/json")];
    let large = format!("{{\"state\":\"{}\"}}", "x".repeat(100_000));
    let state = "/v1/pools/app/nodes/a/state";
    for (method, path, body, status, says) in [
        ("GET", "/nothing", None, 404, "/openapi.json"),
        ("GET", "/v1/pools/none", None, 404, "there are: app"),
        ("GET", "/v1/pools/none/nodes", None, 404, "there are: app"),
        (
            "GET",
            "/v1/pools/none/nodes/a/series",
            None,
            404,
            "there are: app",
        ),
        (
            "GET",
            "/v1/pools/app/nodes/zz/series",
            None,
            404,
            "there are: a, b",
        ),
        (
            "GET",
            "/v1/pools/app/nodes/a/series?metric=hue",
            None,
            400,
            "response_ms_p99",
        ),
        (
            "GET",
            "/v1/pools/app/nodes/a/series?resolution=2s",
            None,
            400,
            "5s",
        ),
        ("GET", "/v1/connections?pool=none", None, 404, "there are: app"),
        ("GET", "/v1/moves?pool=none", None, 404, "there are: app"),
        ("GET", "/v1/plan?pool=none", None, 404, "there are: app"),
        ("GET", "/v1/forecasts?node=zz", None, 404, "zz"),
        ("GET", "/v1/events?pool=none", None, 404, "there are: app"),
        ("PATCH", "/v1/pools", None, 405, "Allow"),
        ("GET", state, None, 405, "Allow"),
        ("GET", "/v1/moves?limit=many", None, 400, "limit"),
        ("GET", "/v1/moves?colour=red", None, 400, "colour"),
        ("GET", "/v1/connections?pool=a%2Fb", None, 400, "is not a name"),
        ("GET", "/v1/pools/app/affinity/%ff", None, 400, "UTF-8"),
        (
            "POST",
            "/v1/connections/abc/migrate",
            Some("{\"target\":\"b\"}"),
            400,
            "abc",
        ),
        (
            "POST",
            "/v1/connections/77/migrate",
            Some("{\"target\":\"b\"}"),
            404,
            "no connection 77",
        ),
        ("PUT", state, Some("{"), 400, "EOF"),
        ("PUT", state, Some("{}"), 422, "missing field `state`"),
        ("PUT", state, Some("{\"state\":\"asleep\"}"), 422, "asleep"),
        ("PUT", state, Some("{\"state\":\"ready\",\"x\":1}"), 422, "x"),
        (
            "PUT",
            state,
            Some("{\"state\":\"joining\"}"),
            422,
            "ready, draining or down",
        ),
        ("PUT", state, Some(large.as_str()), 413, "limit"),
        (
            "PUT",
            "/v1/pools/app/nodes/zz/state",
            Some("{\"state\":\"down\"}"),
            404,
            "there are: a, b",
        ),
        ("DELETE", "/v1/pools/app/nodes/zz", None, 404, "there are: a, b"),
        ("DELETE", "/v1/pools/app/affinity/k", None, 404, "not pinned"),
    ] {
        let detail = running.send(method, path, body, &json).problem(status);
        assert!(
            detail.contains(says),
            "{method} {path}: {detail:?} does not say {says:?}"
        );
    }
    let allow = running.send("GET", state, None, &[]).allow;
    assert_eq!(allow, "PUT");
}

#[test]
fn a_body_that_is_not_called_json_is_refused() {
    let running = common::start(&common::config(common::TWO_NODES));
    let plain = [("content-type", "text/plain")];
    let path = "/v1/pools/app/nodes/a/state";
    let detail = running
        .send("PUT", path, Some("{\"state\":\"down\"}"), &plain)
        .problem(415);
    assert!(detail.contains("Content-Type: application/json"), "{detail}");
}

#[test]
fn what_a_web_page_of_elsewhere_sends_is_refused() {
    let running = common::start(&common::config(common::TWO_NODES));
    for headers in [
        [("host", "evil.example"), ("accept", "*/*")],
        [
            ("origin", "http://evil.example"),
            ("content-type", "application/json"),
        ],
        [
            ("sec-fetch-site", "cross-site"),
            ("content-type", "application/json"),
        ],
    ] {
        let body = Some("{\"state\":\"down\"}");
        running
            .send("PUT", "/v1/pools/app/nodes/a/state", body, &headers)
            .problem(403);
        running.send("GET", "/v1/pools", None, &headers).problem(403);
    }
    assert_eq!(
        running.get("/v1/pools/app/nodes").ok()[0]["observed_state"],
        "ready"
    );
}

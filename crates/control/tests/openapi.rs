//! The OpenAPI document is made from the routes that are served.

mod common;

#[test]
fn the_document_lists_every_route_and_each_of_them_is_served() {
    let running = common::start(&common::config(common::TWO_NODES));
    let document = running.get("/openapi.json").ok();
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(
                operation["summary"].as_str().is_some_and(|s| !s.is_empty()),
                "{method} {path}"
            );
            routes.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    routes.sort();
    let expected = [
        "DELETE /v1/connections/{id}",
        "DELETE /v1/pools/{pool}/affinity",
        "DELETE /v1/pools/{pool}/affinity/{key}",
        "DELETE /v1/pools/{pool}/nodes/{id}",
        "DELETE /v1/pools/{pool}/nodes/{id}/runtime",
        "DELETE /v1/pools/{pool}/nodes/{id}/sessions",
        "DELETE /v1/sessions/{id}",
        "DELETE /v1/sessions/{id}/partitions/{name}",
        "DELETE /v1/sessions/{id}/partitions/{name}/{key}",
        "GET /healthz",
        "GET /metrics",
        "GET /readyz",
        "GET /v1/connections",
        "GET /v1/events",
        "GET /v1/forecasts",
        "GET /v1/info",
        "GET /v1/moves",
        "GET /v1/plan",
        "GET /v1/pools",
        "GET /v1/pools/{pool}",
        "GET /v1/pools/{pool}/affinity",
        "GET /v1/pools/{pool}/affinity/{key}",
        "GET /v1/pools/{pool}/nodes",
        "GET /v1/pools/{pool}/nodes/{id}/series",
        "GET /v1/sessions",
        "GET /v1/sessions/stats",
        "GET /v1/sessions/{id}",
        "GET /v1/sessions/{id}/partitions",
        "GET /v1/sessions/{id}/partitions/{name}",
        "GET /v1/sessions/{id}/partitions/{name}/{key}",
        "GET /v1/sessions/{id}/replay",
        "PATCH /v1/pools/{pool}/nodes/{id}",
        "PATCH /v1/sessions/{id}/partitions/{name}",
        "POST /v1/connections/{id}/migrate",
        "POST /v1/pools/{pool}/nodes",
        "POST /v1/pools/{pool}/nodes/{id}/agent",
        "POST /v1/pools/{pool}/nodes/{id}/report",
        "POST /v1/reload",
        "POST /v1/sessions",
        "POST /v1/sessions/{id}/partitions/{name}/expire",
        "POST /v1/sessions/{id}/revoke",
        "PUT /v1/pools/{pool}/affinity/{key}",
        "PUT /v1/pools/{pool}/nodes/{id}/state",
        "PUT /v1/pools/{pool}/sessions/{session}",
        "PUT /v1/sessions/{id}/partitions/{name}",
        "PUT /v1/sessions/{id}/partitions/{name}/{key}",
    ];
    assert_eq!(routes, expected);
    for route in routes.iter().filter(|route| !route.ends_with("/v1/events")) {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path
            .replace("{pool}", "app")
            .replace("{id}", "7")
            .replace("{key}", "k");
        let status = running.send(method, &path, None, &[]).status;
        assert_ne!(status, 405, "{route}");
        assert_ne!(status, 500, "{route}");
    }
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let running = common::start(&common::config(common::TWO_NODES));
    let document = running.get("/openapi.json").ok();
    let mut open = vec![&document];
    let mut seen = 0;
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(|r| r.as_str()) {
                    let pointer = reference
                        .strip_prefix('#')
                        .expect("a reference within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                    seen += 1;
                }
                open.extend(object.values());
            }
            serde_json::Value::Array(array) => open.extend(array),
            _ => {}
        }
    }
    assert!(seen > 20, "{seen} references");
}

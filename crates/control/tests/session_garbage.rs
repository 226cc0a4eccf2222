//! Names, keys and bodies that are not as they must be are problems that say what is wrong, and change nothing.

mod common;

use common::start_with_sessions;

#[test]
fn what_is_not_as_it_must_be_is_a_problem_and_changes_nothing() {
    let (running, _) = start_with_sessions("max_bytes = 2000\nmax_value_bytes = 1000");
    let made = running.send("POST", "/v1/sessions", None, &[]);
    let session = made.header("location").to_owned();
    let long_key = format!("cart/{}", "k".repeat(1_025));
    let large = "x".repeat(100_000);
    let over = format!(
        "{{\"entries\":[{{\"key\":\"k\",\"value\":\"{}\"}}]}}",
        "x".repeat(3_000)
    );
    let json = ("content-type", "application/json");
    let tags = ("if-match", "\"1\", \"2\"");
    for (method, path, body, header, status, says) in [
        ("PUT", "cart/k%", "v", json, 422, "%"),
        ("PUT", "cart/k%f", "v", json, 422, "%"),
        ("PUT", &long_key, "v", json, 422, "1024"),
        ("PUT", "a%2F..%2Fb/k", "v", json, 422, "names no partition"),
        ("PUT", "%FF/k", "v", json, 422, "names no partition"),
        ("PUT", "a%20b/k", "v", json, 422, "names no partition"),
        (
            "PUT",
            "cart/k",
            "v",
            ("content-type", "\u{e9}"),
            422,
            "Content-Type",
        ),
        (
            "PUT",
            "cart/k",
            "v",
            ("foreshift-epoch", "soon"),
            400,
            "foreshift-epoch",
        ),
        (
            "PUT",
            "cart/k",
            "v",
            ("foreshift-node", "a b"),
            400,
            "foreshift-node",
        ),
        ("PUT", "cart/k", "v", tags, 400, "one ETag"),
        ("PUT", "cart/k", "v", ("if-none-match", "\"1\""), 400, "* only"),
        ("PUT", "cart/k", &large, json, 413, "limit"),
        ("PUT", "cart", "{", json, 400, "EOF"),
        ("PUT", "cart", "{}", json, 422, "missing field `entries`"),
        (
            "PUT",
            "cart",
            "{\"entries\":[{\"key\":\"\",\"value\":\"\"}]}",
            json,
            422,
            "entries[0]",
        ),
        (
            "PUT",
            "cart",
            "{\"entries\":[{\"key\":\"a\",\"remove\":true}]}",
            json,
            422,
            "PATCH",
        ),
        (
            "PUT",
            "cart",
            "{\"entries\":[],\"colour\":1}",
            json,
            422,
            "colour",
        ),
        ("PUT", "cart", &over, json, 413, "limit"),
        (
            "PUT",
            "cart",
            "{\"entries\":[]}",
            ("content-type", "text/plain"),
            415,
            "application/json",
        ),
        ("PATCH", "cart", &large, json, 413, "limit"),
        ("POST", "cart", "{}", json, 405, "Allow"),
        ("GET", "cart?since=x", "", json, 400, "invalid digit"),
        ("GET", "cart?colour=red", "", json, 400, "colour"),
        ("POST", "cart/expire", "{\"after_ms\":-1}", json, 422, "after_ms"),
    ] {
        let path = format!("{session}/partitions/{path}");
        let body = Some(body).filter(|_| method != "GET");
        let detail = running.send(method, &path, body, &[header]).problem(status);
        assert!(
            detail.contains(says),
            "{method} {path:.100} {body:.100?}: {detail}"
        );
        assert!(!detail.contains(session.rsplit('/').next().unwrap()), "{detail}");
    }
    let partitions = running.get(&format!("{session}/partitions")).ok();
    assert_eq!(partitions, serde_json::json!([]));
}

#[test]
fn a_session_that_nobody_issued_is_not_there_and_an_id_that_is_none_is_refused() {
    let (running, _) = start_with_sessions("");
    for method in ["GET", "DELETE"] {
        let path = "/v1/sessions/0123456789abcdef0123456789abcdef";
        running.send(method, path, None, &[]).problem(404);
    }
    let path = "/v1/sessions/0123456789abcdef0123456789abcdef/partitions/cart/k";
    running.send("PUT", path, Some("v"), &[]).problem(404);
    running.get(path).problem(404);
    for id in ["7", "x", "0123456789ABCDEF0123456789abcdeg", "%20"] {
        let detail = running.get(&format!("/v1/sessions/{id}")).problem(422);
        assert!(detail.contains("32 hexadecimal digits"), "{detail}");
    }
}

#[test]
fn without_a_session_table_every_path_says_so() {
    let running = common::start(&common::config(common::TWO_NODES));
    let id = "/v1/sessions/0123456789abcdef0123456789abcdef";
    for (method, path) in [
        ("POST", "/v1/sessions"),
        ("GET", id),
        ("GET", &*format!("{id}/partitions/cart")),
    ] {
        let detail = running.send(method, path, None, &[]).problem(404);
        assert!(detail.contains("[session]"), "{method} {path}: {detail}");
    }
}

//! With tokens, nobody asks without one, and each allows what it says.

mod common;

use common::{app, node, start_with_sessions};
use foreshift_wire::SessionId;

#[test]
fn a_token_allows_its_partitions_and_its_nodes_sessions_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let tables = [
        ("admin", "access = \"admin\""),
        ("game", "partitions = [\"game/*\"]"),
        ("a", "node = \"a\""),
    ];
    let tables: String = tables
        .iter()
        .map(|(name, more)| format!("[[session.token]]\nfile = \"{}\"\n{more}\n", file(name).display()))
        .collect();
    let (running, sessions) = start_with_sessions(&tables);
    let token = |name: &str| std::fs::read_to_string(file(name)).unwrap().trim().to_owned();
    let id = SessionId(rand::random());
    sessions.serving(&app(), id, &node("a"));
    let ask = |who: Option<&str>, method: &str, path: &str| {
        let bearer = who.map(|token| format!("Bearer {token}"));
        let headers: Vec<_> = bearer.iter().map(|bearer| ("authorization", &**bearer)).collect();
        running.send(method, &format!("/v1/sessions/{id}{path}"), None, &headers)
    };
    let (admin, game, a) = (token("admin"), token("game"), token("a"));
    let (map, auth) = ("/partitions/game%2Fmap/k", "/partitions/auth/k");
    for wrong in [None, Some("wrong"), Some("")] {
        let refused = ask(wrong, "GET", map);
        refused.problem(401);
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
    assert_eq!(ask(Some(&game), "PUT", map).status, 201);
    ask(Some(&game), "PUT", auth).problem(403);
    ask(Some(&game), "GET", auth).problem(403);
    ask(Some(&game), "DELETE", "").problem(403);
    ask(Some(&game), "POST", "/revoke").problem(403);
    assert_eq!(ask(Some(&a), "PUT", auth).status, 201);
    sessions.serving(&app(), id, &node("b"));
    assert!((400..500).contains(&ask(Some(&a), "PUT", auth).status));
    assert!((400..500).contains(&ask(Some(&a), "GET", auth).status));
    let list = |who: &str| {
        running.send(
            "GET",
            "/v1/sessions",
            None,
            &[("authorization", &format!("Bearer {who}"))],
        )
    };
    list(&a).problem(403);
    list(&admin).ok();
    assert_eq!(ask(Some(&admin), "DELETE", "").status, 204);
}

//! Statistics name parts of keys only of partitions that the caller may read.

mod common;

use common::{app, node, start_with_sessions};
use foreshift_wire::{PartitionPattern, SessionId};

#[test]
fn how_a_secret_partition_is_split_is_only_for_who_is_allowed_to_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (running, sessions) = start_with_sessions(&format!(
        "split = true\n[[session.partition]]\nname = \"auth\"\nsecret = true\n\
         [[session.token]]\nfile = {:?}\naccess = \"admin\"\n\
         [[session.token]]\nfile = {:?}\naccess = \"admin\"\npartitions = [\"*\", \"auth\"]\n",
        file("all"),
        file("named")
    ));
    let id = SessionId(7);
    let ask = |who: &str, method: &str, path: &str| {
        let token = std::fs::read_to_string(file(who)).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        running.send(method, path, None, &[("authorization", &bearer)])
    };
    sessions.serving(&app(), id, &node("a"));
    for partition in ["auth", "game"] {
        let path = format!("/v1/sessions/{id}/partitions/{partition}/part/1");
        assert_eq!(ask("named", "PUT", &path).status, 201);
    }
    // Its reign at the first node is counted.
    let (pool, to, required) = (app(), node("b"), [PartitionPattern::all()]);
    let missing = sessions.missing(&pool, id, &to, &required);
    running.block_on(missing).unwrap();
    assert_eq!(sessions.splits().len(), 2, "both are measured");
    let shown = |who: &str| -> Vec<_> {
        let stats = ask(who, "GET", "/v1/sessions/stats").ok();
        let splits = stats["splits"].as_array().unwrap().iter();
        splits
            .map(|split| split["partition"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(shown("all"), ["game"]);
    assert_eq!(shown("named"), ["auth", "game"]);
}

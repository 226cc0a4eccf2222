//! `foreshift sessions` lists, shows, ends and revokes sessions of a running Foreshift, and never shows what is secret.

mod common;

use common::{
    foreshift::{Ended, Foreshift, to_its_end},
    peers::curl,
};
use serde_json::Value;

/// Secret: what is looked for in all that the command prints.
const SECRET: &str = "grammar-school-1";

struct World {
    foreshift: Foreshift,
    admin: String,
}

impl World {
    /// Two tokens: `admin`, which may do everything by `*`, and `named`, which names the secret partition.
    fn start() -> Self {
        let foreshift = Foreshift::with_config(
            "[api]\naddress = \"127.0.0.1:0\"\n[meta]\npath = \"meta.redb\"\n[ingress]\nworkers = 1\n\
             [[listener]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\npool = \"app\"\n\
             [[pool]]\nname = \"app\"\n[[pool.node]]\nid = \"a\"\naddress = \"127.0.0.1:9\"\n\
             [session]\npath = \"sessions.redb\"\nkey_file = \"session.keys\"\n\
             [[session.partition]]\nname = \"auth\"\nsecret = true\n\
             [[session.token]]\nfile = \"admin.token\"\naccess = \"admin\"\n\
             [[session.token]]\nfile = \"named.token\"\npartitions = [\"*\", \"auth\"]\naccess = \"admin\"\n",
        );
        let admin = std::fs::read_to_string(foreshift.folder().join("admin.token")).unwrap();
        let admin = admin.trim().to_owned();
        Self { foreshift, admin }
    }

    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let bearer = format!("Authorization: Bearer {token}");
        let url = self.foreshift.api.url(path);
        curl(&[
            "-X",
            method,
            "-H",
            &bearer,
            "-d",
            body,
            "-H",
            "Content-Type: text/plain",
            &url,
        ])
    }

    /// A session with a value in `cart` and one in `auth`.
    fn session(&self) -> String {
        let (status, made) = self.ask("POST", "/v1/sessions", &self.admin, "");
        assert_eq!(status, 201, "{made}");
        let made: Value = serde_json::from_str(&made).unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        let named = std::fs::read_to_string(self.foreshift.folder().join("named.token")).unwrap();
        for (partition, value) in [("cart", "3 apples"), ("auth", SECRET)] {
            let path = format!("/v1/sessions/{id}/partitions/{partition}/item");
            assert_eq!(self.ask("PUT", &path, named.trim(), value).0, 201);
        }
        id
    }

    /// `foreshift sessions …` with a token's file.
    fn run(&self, token: Option<&str>, arguments: &[&str]) -> Ended {
        let api = self.foreshift.api.url("");
        let mut all = [&["sessions"], arguments, &["--api", &api]].concat();
        all.extend(token.iter().flat_map(|file| ["--token-file", file]));
        to_its_end(self.foreshift.folder(), &all)
    }

    #[track_caller]
    fn done(&self, token: &str, arguments: &[&str]) -> String {
        let ended = self.run(Some(token), arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.printed);
        // Behind the name of the process.
        ended.printed.split_once('\n').unwrap().1.to_owned()
    }

    #[track_caller]
    fn json(&self, token: &str, arguments: &[&str]) -> Value {
        let printed = self.done(token, &[arguments, &["--json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
    }
}

#[test]
fn values_are_shown_where_they_are_asked_for_and_secret_ones_never() {
    let world = World::start();
    let id = world.session();
    for token in ["admin.token", "named.token"] {
        let shown = world.done(token, &["show", &id]);
        assert!(shown.contains(&id) && shown.contains("cart"), "{shown}");
        assert!(!shown.contains("3 apples") && !shown.contains(SECRET), "{shown}");
        let shown = world.done(token, &["show", &id, "--values"]);
        assert!(shown.contains("3 apples") && !shown.contains(SECRET), "{shown}");
        let shown = world.json(token, &["show", &id, "--values"]);
        assert_eq!(shown["id"], *id);
        let partition = |name: &str| {
            let mut all = shown["partitions"].as_array().unwrap().iter();
            all.find(|partition| partition["name"] == name)
        };
        let entries = &partition("cart").unwrap()["entries"];
        assert_eq!(
            (&entries[0]["key"], &entries[0]["value"]),
            (&"item".into(), &"3 apples".into())
        );
        assert!(!shown.to_string().contains(SECRET), "{shown}");
        // Only who is allowed to by its name knows of it, and even then its values stay where they are.
        let auth = partition("auth");
        assert_eq!(auth.is_some(), token == "named.token");
        assert!(
            auth.is_none_or(|auth| auth["secret"] == true && auth["entries"].is_null()),
            "{shown}"
        );
    }
}

#[test]
fn sessions_are_listed_ended_and_revoked() {
    let world = World::start();
    let ids = [world.session(), world.session(), world.session()];
    let listed = world.done("admin.token", &["list"]);
    assert!(ids.iter().all(|id| listed.contains(&**id)), "{listed}");
    let one = world.done("admin.token", &["list", "--limit", "1"]);
    assert_eq!(ids.iter().filter(|id| one.contains(&***id)).count(), 1, "{one}");
    assert!(one.contains("--limit 10"), "{one}");

    assert_eq!(
        world.done("admin.token", &["end", &ids[0]]),
        format!("ended {}\n", ids[0])
    );
    assert_eq!(
        world.json("admin.token", &["revoke", &ids[1]])["revoked"],
        *ids[1]
    );
    let gone = world.run(Some("admin.token"), &["show", &ids[0]]);
    assert_eq!(gone.code, Some(1));
    assert!(
        gone.printed.contains("there is no such session"),
        "{}",
        gone.printed
    );
    let revoked = world.run(Some("admin.token"), &["show", &ids[1], "--values"]);
    assert_eq!(revoked.code, Some(1));
    assert!(revoked.printed.contains("revoked"), "{}", revoked.printed);

    let left = world.json("admin.token", &["list"]);
    let is_listed = |id: &String| left.as_array().unwrap().iter().any(|one| one["id"] == **id);
    assert!(!is_listed(&ids[0]) && is_listed(&ids[2]), "{left}");
    let stats = world.json("admin.token", &["stats"]);
    assert_eq!(stats["bytes_not_required"], 0, "{stats}");
    assert!(
        world
            .done("admin.token", &["stats"])
            .contains("0 bytes were not required")
    );
}

#[test]
fn without_a_token_that_allows_it_nothing_is_told_or_done() {
    let world = World::start();
    let id = world.session();
    for arguments in [
        &["list"][..],
        &["show", &id],
        &["end", &id],
        &["revoke", &id],
        &["stats"],
    ] {
        let refused = world.run(None, arguments);
        assert_eq!(refused.code, Some(1), "{arguments:?}: {}", refused.printed);
        assert!(!refused.printed.contains("cart"), "{}", refused.printed);
    }
    std::fs::write(world.foreshift.folder().join("empty.token"), "\n").unwrap();
    let empty = world.run(Some("empty.token"), &["list"]);
    assert!(
        empty.printed.contains("empty.token holds no token"),
        "{}",
        empty.printed
    );
    assert!(world.done("admin.token", &["show", &id]).contains("cart"));
}

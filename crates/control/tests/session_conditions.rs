//! Conditional requests on partitions and keys: nothing is lost to two writers, and nothing is sent twice to a reader.

mod common;

use common::start_with_sessions;

#[test]
fn a_write_whose_condition_does_not_hold_is_412_with_the_version_that_is_there() {
    let (running, _) = start_with_sessions("");
    let made = running.send("POST", "/v1/sessions", None, &[]);
    let cart = format!("{}/partitions/cart", made.header("location"));
    let json = "{\"entries\":[{\"key\":\"k\",\"value\":\"v\"}]}";
    let key = format!("{cart}/k");
    for (path, body) in [(&cart, json), (&key, "v")] {
        let put = |condition: &[(&str, &str)]| {
            let kind = ("content-type", "application/json");
            running.send("PUT", path, Some(body), &[&[kind], condition].concat())
        };
        assert_eq!(running.delete(&cart).status == 204, path == &key);
        put(&[("if-match", "*")]).problem(412);
        put(&[("if-match", "\"1\"")]).problem(412);
        let first = put(&[("if-none-match", "*")]);
        assert!(first.status < 300, "{first:?}");
        let tag = first.header("etag").to_owned();
        let refused = put(&[("if-none-match", "*")]);
        refused.problem(412);
        assert_eq!(
            (refused.header("etag"), refused.json()["version"].to_string()),
            (&*tag, tag.replace('"', ""))
        );
        let second = put(&[("if-match", &tag)]);
        assert!(second.status < 300, "{second:?}");
        put(&[("if-match", &tag)]).problem(412);
        put(&[("if-match", &format!("W/{}", second.header("etag")))]).problem(412);
        running
            .send("DELETE", path, None, &[("if-match", &tag)])
            .problem(412);
        let gone = running.send("DELETE", path, None, &[("if-match", second.header("etag"))]);
        assert_eq!(gone.status, 204, "{gone:?}");
        put(&[]);
    }
}

#[test]
fn a_reader_that_has_the_version_is_told_so() {
    let (running, _) = start_with_sessions("");
    let made = running.send("POST", "/v1/sessions", None, &[]);
    let cart = format!("{}/partitions/cart", made.header("location"));
    let key = format!("{cart}/k");
    let tag = running.put(&key, "v").header("etag").to_owned();
    for path in [&cart, &key] {
        let read = |name, value: &str| running.send("GET", path, None, &[(name, value)]);
        let same = read("if-none-match", &tag);
        assert_eq!((same.status, &*same.text, same.header("etag")), (304, "", &*tag));
        assert_eq!(read("if-none-match", &format!("\"1\", W/{tag}")).status, 304);
        assert_eq!(read("if-none-match", "\"1\"").status, 200);
        assert_eq!(read("if-match", &tag).status, 200);
        read("if-match", "\"1\"").problem(412);
        read("if-match", "no tag").problem(400);
    }
}

#[test]
fn of_many_that_write_on_the_same_version_one_succeeds() {
    let (running, _) = start_with_sessions("");
    let made = running.send("POST", "/v1/sessions", None, &[]);
    let key = format!("{}/partitions/counter/n", made.header("location"));
    running.put(&key, "0");
    let add_one = || loop {
        let read = running.get(&key);
        let next = (read.text.parse::<u32>().unwrap() + 1).to_string();
        let put = running.send("PUT", &key, Some(&next), &[("if-match", read.header("etag"))]);
        match put.status {
            204 => return,
            _ => drop(put.problem(412)),
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10).for_each(|_| add_one()));
        }
    });
    assert_eq!(running.get(&key).text, "40");
}

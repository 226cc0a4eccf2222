//! Laws of the store: it equals a map, a watch replays to it, and comparisons decide.

use std::collections::BTreeMap;

use foreshift_meta::{Error, Meta, Revision, Txn};
use proptest::prelude::*;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn any_txn() -> impl Strategy<Value = Txn> {
    let key = "[a-c]/[a-c]";
    (
        proptest::collection::vec((key, proptest::option::of(0..12_u64)), 0..2),
        proptest::collection::vec((key, "[x-z]{0,3}"), 0..3),
        proptest::collection::vec(key, 0..3),
    )
        .prop_map(|(compare, put, delete)| {
            let mut txn = Txn::new();
            for (key, revision) in compare {
                txn = txn.expect(key, revision.map(Revision));
            }
            for (key, value) in put {
                txn = txn.put(key, value);
            }
            for key in delete {
                txn = txn.delete(key);
            }
            txn
        })
}

type Model = BTreeMap<String, (Vec<u8>, Revision)>;

/// What a transaction does to a map; false where a comparison does not hold.
fn apply(model: &mut Model, newest: &mut Revision, txn: &Txn) -> bool {
    if txn
        .compare
        .iter()
        .any(|c| model.get(&c.key).map(|(_, r)| *r) != c.revision)
    {
        return false;
    }
    let next = Revision(newest.0 + 1);
    let mut after = model.clone();
    for key in &txn.delete {
        after.remove(key);
    }
    for (key, value) in &txn.put {
        after.insert(key.clone(), (value.clone(), next));
    }
    if after != *model {
        *newest = next;
        *model = after;
    }
    true
}

async fn content(meta: &Meta, prefix: &str) -> Model {
    let (_, found) = meta.list(prefix).await.unwrap();
    found
        .into_iter()
        .map(|(key, v)| (key, (v.value.to_vec(), v.revision)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn transactions_do_what_they_would_do_to_a_map(txns in proptest::collection::vec(any_txn(), 1..40)) {
        run(async {
            let meta = Meta::in_memory();
            let (mut model, mut newest) = (Model::new(), Revision(0));
            for txn in txns {
                let holds = apply(&mut model, &mut newest, &txn);
                match meta.commit(txn).await {
                    Ok(revision) => prop_assert!(holds && revision == newest),
                    Err(Error::Conflict { .. }) => prop_assert!(!holds),
                    Err(e) => prop_assert!(false, "{e}"),
                }
            }
            prop_assert_eq!(meta.revision().await.unwrap(), newest);
            prop_assert_eq!(content(&meta, "").await, model);
            Ok(())
        })?;
    }

    #[test]
    fn a_watch_replays_to_the_same_state(
        before in proptest::collection::vec(any_txn(), 0..10),
        after in proptest::collection::vec(any_txn(), 0..40),
    ) {
        run(async {
            let meta = Meta::in_memory();
            for txn in before {
                let _ = meta.commit(txn).await;
            }
            let (start, _) = meta.list("a/").await.unwrap();
            let mut replayed = content(&meta, "a/").await;
            let mut watch = meta.watch("a/", start);
            for txn in after {
                let _ = meta.commit(txn).await;
            }
            let mut last = start;
            while let Some(batch) = watch.try_next().unwrap() {
                prop_assert!(batch.revision > last && !batch.changes.is_empty());
                last = batch.revision;
                for change in batch.changes {
                    let key = change.key.to_string();
                    match change.value {
                        Some(value) => drop(replayed.insert(key, (value.to_vec(), batch.revision))),
                        None => prop_assert!(replayed.remove(&key).is_some(), "removed what was not there"),
                    }
                }
            }
            prop_assert_eq!(replayed, content(&meta, "a/").await);
            Ok(())
        })?;
    }

}

proptest! {
    // Fewer, as each syncs files.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_reopened_file_has_what_was_committed(txns in proptest::collection::vec(any_txn(), 1..12)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("meta.redb");
        run(async {
            let meta = Meta::open_embedded(&path).unwrap();
            for txn in txns {
                let _ = meta.commit(txn).await;
            }
            let (newest, _) = meta.list("").await.unwrap();
            let before = content(&meta, "").await;
            drop(meta);
            let meta = Meta::open_embedded(&path).unwrap();
            prop_assert_eq!(meta.revision().await.unwrap(), newest);
            prop_assert_eq!(content(&meta, "").await, before);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_comparison_that_fails_writes_nothing_and_says_what_it_found() {
    let meta = Meta::in_memory();
    let first = meta.commit(Txn::new().put("k", "1")).await.unwrap();
    let second = meta
        .commit(Txn::new().expect("k", Some(first)).put("k", "2"))
        .await
        .unwrap();
    let stale = Txn::new()
        .expect("k", Some(first))
        .put("k", "3")
        .put("other", "3");
    let conflict = Error::Conflict {
        key: "k".into(),
        expected: Some(first),
        found: Some(second),
    };
    assert_eq!(meta.commit(stale).await, Err(conflict));
    assert_eq!(meta.get("other").await.unwrap(), None);
    assert_eq!(meta.revision().await.unwrap(), second);
}

#[tokio::test]
async fn of_many_that_compare_and_swap_at_once_each_step_has_one_winner() {
    let meta = Meta::in_memory();
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let meta = meta.clone();
            tokio::spawn(async move {
                loop {
                    let found = meta.get("n").await.unwrap();
                    let n: u64 = found
                        .as_ref()
                        .map_or(0, |v| String::from_utf8_lossy(&v.value).parse().unwrap());
                    let txn = Txn::new().expect("n", found.map(|v| v.revision));
                    if meta.commit(txn.put("n", (n + 1).to_string())).await.is_ok() {
                        break;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(&*meta.get("n").await.unwrap().unwrap().value, b"32");
}

#[tokio::test]
async fn a_watch_that_waits_is_woken_by_a_change_under_its_prefix_only() {
    let meta = Meta::in_memory();
    let mut watch = meta.watch("a/", Revision(0));
    let waiting = tokio::spawn(async move { watch.next().await });
    meta.commit(Txn::new().put("b/x", "no")).await.unwrap();
    let revision = meta.commit(Txn::new().put("a/x", "yes")).await.unwrap();
    let batch = waiting.await.unwrap().unwrap();
    assert_eq!((batch.revision, &*batch.changes[0].key), (revision, "a/x"));
}

#[tokio::test]
async fn a_watch_too_far_behind_is_told_and_can_start_again_from_a_list() {
    let meta = Meta::in_memory_with_backlog(2_000);
    let mut watch = meta.watch("", Revision(0));
    for n in 0..100 {
        meta.commit(Txn::new().put(format!("k{n}"), "value"))
            .await
            .unwrap();
    }
    let behind = watch.next().await;
    assert!(
        matches!(
            behind,
            Err(Error::Behind {
                after: Revision(0),
                newest: Revision(100),
                ..
            })
        ),
        "{behind:?}"
    );
    let (revision, _) = meta.list("").await.unwrap();
    let mut again = meta.watch("", revision);
    meta.commit(Txn::new().put("k", "new")).await.unwrap();
    assert_eq!(again.next().await.unwrap().revision, Revision(101));
    assert!(matches!(
        meta.watch("", Revision(500)).next().await,
        Err(Error::Behind { .. })
    ));
}

#[tokio::test]
async fn a_watch_gets_the_last_changes_of_a_store_that_closes_and_then_its_end() {
    let meta = Meta::in_memory();
    let mut watch = meta.watch("", Revision(0));
    meta.commit(Txn::new().put("k", "v")).await.unwrap();
    drop(meta);
    assert_eq!(watch.next().await.unwrap().revision, Revision(1));
    assert_eq!(watch.next().await, Err(Error::Closed));
}

#[tokio::test]
async fn keys_and_values_over_their_limits_are_refused() {
    let meta = Meta::in_memory();
    for txn in [
        Txn::new().put("k".repeat(Txn::KEY_BYTES_MAX + 1), ""),
        Txn::new().put("k", vec![0; Txn::VALUE_BYTES_MAX + 1]),
        Txn::new().delete("k".repeat(Txn::KEY_BYTES_MAX + 1)),
    ] {
        assert!(matches!(meta.commit(txn).await, Err(Error::TooLarge { .. })));
    }
    meta.commit(Txn::new().put("k".repeat(Txn::KEY_BYTES_MAX), vec![0; Txn::VALUE_BYTES_MAX]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_transactions_at_once_all_arrive_each_with_its_own_revision() {
    let folder = tempfile::tempdir().unwrap();
    let meta = Meta::open_embedded(folder.path().join("meta.redb")).unwrap();
    let tasks: Vec<_> = (0..10_000)
        .map(|n| {
            let meta = meta.clone();
            tokio::spawn(async move { meta.commit(Txn::new().put(format!("k{n}"), "small")).await })
        })
        .collect();
    let mut revisions = Vec::new();
    for task in tasks {
        revisions.push(task.await.unwrap().unwrap().0);
    }
    revisions.sort_unstable();
    assert!(revisions.into_iter().eq(1..=10_000));
}

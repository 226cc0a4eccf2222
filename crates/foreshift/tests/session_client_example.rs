//! The Rust example of `docs/sessions.md` is this file's, and does what the page says.

mod common;

use common::store::Store;
use foreshift_client::sessions::{Error, PartitionData, Value};
use foreshift_wire::SessionId;

const PAGE: &str = include_str!("../../../docs/sessions.md");
const FILE: &str = include_str!("session_client_example.rs");

async fn example(
    address: &str,
    session: &str,
    epoch: u64,
) -> Result<PartitionData, foreshift_client::sessions::Error> {
    // The page's, from here
    use foreshift_client::sessions::{Condition, Error, Sessions, Value};

    let sessions = Sessions::new(address, None)?.as_node("a").in_epoch(epoch);
    let (three, four) = (Value::text("3"), Value::text("4"));
    let version = sessions
        .set(session, "cart", b"item/1", &three, Condition::Absent)
        .await?;
    match sessions
        .set(session, "cart", b"item/1", &four, Condition::Is(version))
        .await
    {
        Err(Error::Fenced { owner, .. }) => stop_serving(owner),
        Err(Error::Conflict { .. }) => read_again(),
        other => drop(other?),
    }
    let cart = sessions.get_partition_data(session, "cart").await?;
    // to here.
    Ok(cart)
}

#[test]
fn the_page_has_the_example_word_for_word() {
    let from = FILE.split_once("// The page's, from here\n").unwrap().1;
    let code = from.split_once("    // to here.").unwrap().0;
    let plain: String = code
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect();
    assert!(
        PAGE.contains(&format!("```rust\n{plain}```\n")),
        "the page must have:\n{plain}"
    );
}

#[tokio::test]
async fn the_example_sets_and_reads_and_is_refused_where_another_node_serves() {
    let store = Store::serve("").await;
    let address = format!("http://{}", store.address);
    let (id, session) = (SessionId(7), SessionId(7).to_string());
    let first = store.serves(id, "a").0;
    let cart = example(&address, &session, first).await.unwrap();
    assert_eq!(cart.entries[&b"item/1"[..]].value, Value::text("4"));
    let again = example(&address, &session, first).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    store.serves(id, "b");
    let after = example(&address, &session, first).await;
    assert!(matches!(after, Err(Error::Fenced { .. })), "{after:?}");
}

fn stop_serving(owner: Option<String>) {
    let owner = owner.unwrap_or_else(|| "nobody".into());
    panic!("{owner} serves it between two writes of the test");
}

fn read_again() {
    panic!("nobody else writes between two writes of the test");
}

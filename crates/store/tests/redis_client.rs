//! A Redis client of another hand reads and writes sessions' state.

mod serving;

use std::collections::BTreeMap;

use redis::{AsyncCommands, RedisError};
use serving::{View, key};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

type Done<T = ()> = Result<T, RedisError>;

fn code(error: &RedisError) -> String {
    error.code().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn fields_of_any_bytes_are_written_and_read_in_both_versions_of_the_protocol() -> Done {
    let view = View::start().await;
    for parameters in ["?protocol=resp2", "?protocol=resp3"] {
        let mut client = view.client_with(parameters).await;
        let cart = key("cart");
        let all: Vec<u8> = (0..=255).collect();
        client
            .hset_multiple::<_, _, _, ()>(&cart, &[(&all[..], &all[..]), (b"empty", b"")])
            .await?;
        let values: BTreeMap<Vec<u8>, Vec<u8>> = client.hgetall(&cart).await?;
        let expected = BTreeMap::from([(all.clone(), all.clone()), (b"empty".to_vec(), vec![])]);
        assert_eq!(values, expected, "{parameters}");
        let value: Option<Vec<u8>> = client.hget(&cart, &all).await?;
        assert_eq!(value, Some(all));
        let missing: Option<Vec<u8>> = client.hget(&cart, "no").await?;
        assert_eq!(missing, None);
        let deleted: u32 = client.del(&[&cart, &key("no")]).await?;
        assert_eq!(deleted, 1);
        let exists: bool = client.exists(&cart).await?;
        assert!(!exists);
    }
    Ok(())
}

#[tokio::test]
async fn ten_thousand_commands_in_one_pipeline_are_answered_in_their_order() -> Done {
    let view = View::start().await;
    let mut client = view.client().await;
    let mut pipeline = redis::pipe();
    for n in 0..5_000_u32 {
        let field = n % 100;
        pipeline.hset(key("cart"), field, n).ignore();
        pipeline.hget(key("cart"), field);
    }
    let values: Vec<u32> = pipeline.query_async(&mut client).await?;
    assert_eq!(values, (0..5_000).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn counting_and_first_writing_by_many_at_once_loses_nothing() -> Done {
    let view = View::start().await;
    let mut tasks = JoinSet::new();
    for n in 0..8_u32 {
        let mut client = view.client().await;
        tasks.spawn(async move {
            let mut first = 0;
            for round in 0..50_u32 {
                let _: i64 = client.hincr(key("cart"), "count", 1).await?;
                first += u32::from(client.hset_nx::<_, _, _, bool>(key("first"), round, n).await?);
            }
            Ok::<_, RedisError>(first)
        });
    }
    let mut first = 0;
    while let Some(done) = tasks.join_next().await {
        first += done.unwrap()?;
    }
    let count: i64 = view.client().await.hget(key("cart"), "count").await?;
    assert_eq!((count, first), (400, 50));
    Ok(())
}

#[tokio::test]
async fn a_scan_gives_every_field_once() -> Done {
    let view = View::start().await;
    let mut client = view.client().await;
    let pairs: Vec<(String, u32)> = (0..1_000).map(|n| (format!("item/{n}"), n)).collect();
    client.hset_multiple::<_, _, _, ()>(key("cart"), &pairs).await?;
    let mut scan = client.hscan::<_, (String, u32)>(key("cart")).await?;
    let mut found = Vec::new();
    while let Some(pair) = scan.next_item().await {
        found.push(pair?);
    }
    found.sort_unstable_by_key(|(_, n)| *n);
    assert_eq!(found, pairs);
    Ok(())
}

#[tokio::test]
async fn a_huge_length_is_refused_before_anything_is_kept_for_it() {
    let view = View::start().await;
    let mut stream = TcpStream::connect(view.address).await.unwrap();
    stream.write_all(b"*1\r\n$2000000000\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "-ERR Protocol error: invalid bulk length\r\n");
}

#[tokio::test]
async fn a_value_over_the_limit_is_refused_and_the_connection_goes_on() -> Done {
    let view = View::start().await;
    let mut client = view.client().await;
    let large = vec![b'x'; 3 * 1024 * 1024];
    let refused: Done<u32> = client.hset(key("cart"), "a", &large).await;
    assert_eq!(code(&refused.unwrap_err()), "TOOLARGE");
    let fits: u32 = client.hset(key("cart"), "a", &large[..100_000]).await?;
    assert_eq!(fits, 1);
    Ok(())
}

#[tokio::test]
async fn half_a_command_and_a_closed_socket_change_nothing() -> Done {
    let view = View::start().await;
    let mut stream = TcpStream::connect(view.address).await.unwrap();
    let half = format!(
        "*4\r\n$4\r\nHSET\r\n$39\r\n{}\r\n$1\r\na\r\n$5\r\nab",
        key("cart")
    );
    stream.write_all(half.as_bytes()).await.unwrap();
    drop(stream);
    let mut client = view.client().await;
    let exists: bool = client.exists(key("cart")).await?;
    assert!(!exists);
    view.stop().await;
    Ok(())
}

//! `redis-cli` reads and writes sessions' state.

mod serving;

use std::process::Stdio;

use serving::{View, key, need};
use tokio::{io::AsyncWriteExt, process::Command};

/// What `redis-cli` prints to these lines of input.
async fn cli(view: &View, options: &[&str], input: &str) -> String {
    let mut process = Command::new(need("redis-cli"))
        .args(["-p", &view.address.port().to_string()])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let output = process.wait_with_output().await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cli_reads_and_writes_sessions_state() {
    let view = View::start().await;
    let cart = key("cart");
    let input = format!(
        "HSET {cart} apples 2 \"pe ars\" \"a\\r\\n\"\nHGET {cart} \"pe ars\"\nHINCRBY {cart} apples 3\nHGETALL {cart}\n\
         TTL {cart}\nHSET {cart} a\nLPUSH x y\nDEL {cart}\nEXISTS {cart}\n"
    );
    let expected = "(integer) 2\n\"a\\r\\n\"\n(integer) 5\n1) \"apples\"\n2) \"5\"\n3) \"pe ars\"\n4) \"a\\r\\n\"\n(integer) -1\n\
                    (error) ERR wrong number of arguments for 'hset' command\n\
                    (error) ERR unknown command 'LPUSH', with args beginning with: 'x' 'y' \n(integer) 1\n(integer) 0\n";
    assert_eq!(cli(&view, &["--no-raw"], &input).await, expected);
    let map = "HSET {KEY} a 1\nHGETALL {KEY}\n".replace("{KEY}", &cart);
    assert_eq!(
        cli(&view, &["--no-raw", "-3"], &map).await,
        "(integer) 1\n1# \"a\" => \"1\"\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_piped_in_as_a_mass_are_all_answered() {
    let view = View::start().await;
    let cart = key("cart");
    let input: String = (0..3000)
        .map(|n| format!("HSET {cart} field{} {n}\r\n", n % 100))
        .collect();
    let told = cli(&view, &["--pipe"], &input).await;
    assert!(told.contains("errors: 0, replies: 3000"), "{told}");
}

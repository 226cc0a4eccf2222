//! redis-py reads and writes sessions' state, in both versions of the protocol.

mod serving;

use std::path::Path;

use serving::{SESSION, View, need};
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_py_reads_and_writes_sessions_state() {
    let view = View::start().await;
    for protocol in ["2", "3"] {
        let output = Command::new(need("python3"))
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/view.py"))
            .args([&view.address.port().to_string(), &SESSION.to_string(), protocol])
            .env("PYTHONPATH", serving::python_packages())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "protocol {protocol}: {told}");
    }
}

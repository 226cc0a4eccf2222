//! Small transactions issued at once: a plan of thousands of moves is committed and settled like this.

use foreshift_meta::{Meta, Txn};

fn main() {
    divan::main();
}

fn commit_at_once(meta: &Meta, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let commit = |n| {
            let meta = meta.clone();
            tokio::spawn(async move { meta.commit(Txn::new().put(format!("k{n}"), "small")).await })
        };
        for task in (0..count).map(commit).collect::<Vec<_>>() {
            task.await.expect("joins").expect("commits");
        }
    });
}

#[divan::bench(args = [1, 100, 10_000], sample_count = 10)]
fn on_disk(bencher: divan::Bencher<'_, '_>, count: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let meta = Meta::open_embedded(folder.path().join("meta.redb")).expect("opens");
    bencher.bench_local(|| commit_at_once(&meta, count));
}

#[divan::bench(args = [1, 100, 10_000], sample_count = 10)]
fn in_memory(bencher: divan::Bencher<'_, '_>, count: usize) {
    let meta = Meta::in_memory();
    bencher.bench_local(|| commit_at_once(&meta, count));
}

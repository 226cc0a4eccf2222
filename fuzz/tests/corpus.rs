//! The corpus of every target, whole and damaged.

use std::{collections::BTreeSet, fs, panic::catch_unwind, path::PathBuf};

use foreshift_fuzz::TARGETS;

/// Damaged copies of one file, at most.
const DAMAGED_MAX: usize = 2000;

fn corpus() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_has_a_corpus_and_a_binary_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).into()).collect();
    let folders: BTreeSet<String> = fs::read_dir(corpus())
        .expect("fuzz/corpus")
        .map(|entry| {
            entry
                .expect("a folder")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(targets, folders);
    let binaries: BTreeSet<String> = fs::read_dir(corpus().join("../fuzz_targets"))
        .expect("fuzz/fuzz_targets")
        .map(|entry| {
            entry
                .expect("a file")
                .path()
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    assert_eq!(targets, binaries);
}

#[test]
fn the_corpus_keeps_every_law_whole_cut_and_with_bits_turned() {
    for (name, target) in TARGETS {
        let mut files = 0;
        for entry in fs::read_dir(corpus().join(name)).expect("its corpus") {
            let path = entry.expect("a file").path();
            let bytes = fs::read(&path).expect("it can be read");
            let holds = |bytes: &[u8]| catch_unwind(|| target(bytes)).is_ok();
            assert!(holds(&bytes), "{}", path.display());
            for damaged in damage(&bytes) {
                let shown = damaged.escape_ascii();
                assert!(holds(&damaged), "{}, damaged: {shown}", path.display());
            }
            files += 1;
        }
        assert!(files > 0, "{name} has no corpus");
    }
}

/// Every prefix, and every byte with each of its bits turned, as far as they are not too many.
fn damage(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..bytes.len()).map(|end| bytes[..end].to_vec());
    let turned = (0..bytes.len() * 8).map(|bit| {
        let mut turned = bytes.to_vec();
        turned[bit / 8] ^= 1 << (bit % 8);
        turned
    });
    let every = (bytes.len() * 9).div_ceil(DAMAGED_MAX).max(1);
    cut.chain(turned).step_by(every)
}

#[test]
fn the_corpus_has_what_is_accepted_and_not_refused_alone() {
    use foreshift_ingress::parsers;
    let read = |file: &str| fs::read(corpus().join(file)).expect("a file of the corpus");
    let token = String::from_utf8(read("token/good")).expect("text");
    assert!(parsers::token(&token).is_some());
    assert!(parsers::token_payload(&read("token_payload/good")).is_some());
    assert!(matches!(
        parsers::request_head(&read("request_head/get")),
        Ok(Some(_))
    ));
    assert!(parsers::response_head(&read("response_head/ok")).is_some());
    assert_eq!(
        parsers::chunked(&read("chunked/plain")[1..], 3).map(|(_, done)| done),
        Some(true)
    );
    assert_eq!(
        parsers::websocket(&read("websocket/client")[1..], 3, true, false),
        Some((2, true))
    );
    assert_eq!(
        parsers::token_claim(&read("jwt_claim/text")).as_deref(),
        Some(&b"ann"[..])
    );
    let entries = foreshift_wire::entries::decode(read("entries/delta").split_off(1).into(), 64);
    assert_eq!(entries.map(|items| items.len()), Ok(3));
    let (requests, malformed) = foreshift_store::parsers::redis_requests(
        &read("redis_view/hash")[1..],
        7,
        &foreshift_store::view::RequestLimits::STRANGER,
    );
    assert_eq!((requests.len(), malformed), (3, None));
    for request in requests {
        let foreshift_store::view::Request::Command(words) = request else {
            panic!("{request:?}")
        };
        assert_eq!(foreshift_store::parsers::redis_command(words), Ok(()));
    }
}

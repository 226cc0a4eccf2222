//! Requests of the Redis view.

use foreshift_store::{
    parsers::{redis_command, redis_requests},
    view::{Request, RequestLimits},
};

const LIMITS: RequestLimits = RequestLimits {
    arguments: 12,
    argument_bytes: 60,
    skipped_bytes: 200,
    command_bytes: 150,
};

/// Requests are the same in whatever parts they come; none has more than may be, or was made of more than came; and none makes
/// the commands panic. Whoever is refused is told so in one line.
pub(crate) fn view(bytes: &[u8]) {
    let (part, bytes) = super::parts(bytes);
    let (requests, malformed) = redis_requests(bytes, bytes.len(), &LIMITS);
    assert_eq!(
        redis_requests(bytes, part, &LIMITS),
        (requests.clone(), malformed)
    );
    let mut all = 0;
    for request in requests {
        match request {
            Request::TooLarge { bytes, limit } => assert!(bytes > limit),
            Request::Command(words) => {
                assert!(!words.is_empty());
                all += words.iter().map(|word| word.len()).sum::<usize>();
                if let Err(told) = redis_command(words) {
                    assert!(told.starts_with("ERR ") && !told.contains(['\r', '\n']), "{told}");
                }
            }
        }
    }
    assert!(all <= bytes.len(), "bytes that nobody sent");
}

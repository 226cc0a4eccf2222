//! What an error of a server means: where to ask instead, whether to ask again, and what to tell.
//!
//! Pure. Texts name the server and what to do; they repeat nothing of what was sent.

use redis::{ErrorKind, RedisError, ServerError};

use super::slots::Address;

/// Why an attempt did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// Another server has the slot.
    Moved(Address),
    /// Another server has this session already, as its slot is on the way there.
    Ask(Address),
    /// The server does not know the script.
    Unloaded,
    /// Not done; later it may be.
    Later(String),
    /// The server was not reached. Not done.
    Unreachable(String),
    /// The answer was lost. It may have been done.
    Lost(String),
    /// Trying again does not help.
    Final {
        /// What is wrong and what to do.
        detail: String,
        /// It may have been done.
        unknown: bool,
    },
}

impl Fault {
    /// Not done, and not worth another attempt.
    pub(super) fn refused(detail: String) -> Self {
        let unknown = false;
        Self::Final { detail, unknown }
    }

    /// What a server answered instead of a result.
    pub(super) fn answered(by: &Address, error: &ServerError) -> Self {
        let detail = error.details().unwrap_or_default();
        let target = || Address::parse(detail.split(' ').nth(1)?, by);
        match (error.code(), target()) {
            ("MOVED", Some(to)) => Self::Moved(to),
            ("ASK", Some(to)) => Self::Ask(to),
            ("NOSCRIPT", _) => Self::Unloaded,
            (code, _) => match later(code) {
                Some(why) => Self::Later(format!("{by} {why}")),
                None => Self::said(by, code, detail),
            },
        }
    }

    fn said(by: &Address, code: &str, detail: &str) -> Self {
        if code == "ERR" && detail.contains("cluster support disabled") {
            return Self::refused(format!(
                "{by} is no part of a cluster; set session.cluster = false"
            ));
        }
        // A client without a password may not even send a script's arguments.
        let code = if detail.contains("unauthenticated") {
            "NOAUTH"
        } else {
            code
        };
        match never(code) {
            Some(why) => Self::refused(format!("{by} {why}")),
            // A script that stopped half-way did not check before it wrote; none of ours does, but who knows.
            None => Self::Final {
                detail: format!("{by} answered {code}: {}", plain(detail)),
                unknown: true,
            },
        }
    }

    /// A connection was not made.
    pub(super) fn connecting(to: &Address, error: &RedisError) -> Self {
        match (error.kind(), error.code()) {
            (ErrorKind::AuthenticationFailed, _) => Self::refused(format!(
                "{to} refused the user or password of session.urls; correct them"
            )),
            (_, Some(code)) => match later(code) {
                Some(why) => Self::Later(format!("{to} {why}")),
                None => Self::said(to, code, error.detail().unwrap_or_default()),
            },
            (ErrorKind::InvalidClientConfig, None) => Self::refused(format!(
                "{to} cannot be reached as session.urls says: {}",
                error.category()
            )),
            _ if error.is_timeout() => Self::Unreachable(format!(
                "{to} did not answer in time; see whether it runs and can be reached"
            )),
            _ if error.is_connection_refusal() => Self::Unreachable(format!(
                "{to} refused the connection; see whether it runs, and correct session.urls"
            )),
            _ => Self::Unreachable(format!("{to} cannot be reached: {}", plain(&error.to_string()))),
        }
    }
}

/// States that pass: the command was not begun.
fn later(code: &str) -> Option<&'static str> {
    Some(match code {
        "TRYAGAIN" => "is giving the slot away",
        "CLUSTERDOWN" => "says that its cluster is down; see `redis-cli cluster info`",
        "LOADING" => "is still loading its data",
        "MASTERDOWN" => "has lost its primary",
        "BUSY" => "is busy with a script; `SCRIPT KILL` there ends it",
        "MOVED" | "ASK" => "does not know where the slot is",
        _ => return None,
    })
}

/// States that somebody must mend: the command was refused.
fn never(code: &str) -> Option<&'static str> {
    Some(match code {
        "OOM" => {
            "is full (OOM): raise its maxmemory, or end sessions. Its maxmemory-policy should be noeviction, else it drops sessions"
        }
        "READONLY" => "is a replica and takes no writes; name its primary in session.urls",
        "NOAUTH" => "wants a password; add it to session.urls, as in redis://user:password@host:port",
        "WRONGPASS" => "refused the user or password of session.urls; correct them",
        "NOPERM" => {
            "does not permit this user's commands; it needs +@hash +@keyspace +@scripting +@transaction +@connection +wait +cluster on keys {fs:*"
        }
        "NOREPLICAS" => "has fewer replicas than its min-replicas-to-write; see to its replicas",
        "MISCONF" => "cannot save to its disk and takes no writes (MISCONF); see its log",
        "DENIED" => "is in protected mode; set a password there, and add it to session.urls",
        _ => return None,
    })
}

/// A text of a server, short and without control characters.
fn plain(text: &str) -> String {
    text.chars()
        .take(160)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn answered(line: &str) -> Fault {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        match value.unwrap() {
            Value::ServerError(error) => Fault::answered(&Address("h".into(), 1), &error),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_redirection_says_where() {
        let to = |host: &str, port| Address(host.into(), port);
        assert_eq!(
            answered("MOVED 5 10.0.0.2:7000"),
            Fault::Moved(to("10.0.0.2", 7_000))
        );
        assert_eq!(answered("MOVED 5 :7000"), Fault::Moved(to("h", 7_000)));
        assert_eq!(answered("ASK 5 ::1:7000"), Fault::Ask(to("::1", 7_000)));
        assert_eq!(answered("NOSCRIPT No matching script."), Fault::Unloaded);
    }

    #[test]
    fn a_refusal_says_whether_it_passes_and_what_to_do() {
        for (line, passes, says) in [
            ("TRYAGAIN Multiple keys", true, "slot"),
            ("CLUSTERDOWN The cluster is down", true, "cluster info"),
            ("LOADING Redis is loading", true, "loading"),
            ("MOVED 5", true, "slot"),
            ("ASK 5 ?:1", true, "slot"),
            ("OOM command not allowed", false, "maxmemory"),
            ("READONLY You can't write", false, "replica"),
            ("NOAUTH Authentication required.", false, "password"),
            (
                "ERR Protocol error: unauthenticated multibulk length",
                false,
                "password",
            ),
            ("NOPERM this user", false, "+@hash"),
            ("NOREPLICAS Not enough", false, "min-replicas"),
            ("MISCONF Redis is configured", false, "disk"),
            (
                "ERR This instance has cluster support disabled",
                false,
                "session.cluster = false",
            ),
        ] {
            let (is_later, detail, unknown) = match answered(line) {
                Fault::Later(detail) => (true, detail, false),
                Fault::Final { detail, unknown } => (false, detail, unknown),
                other => panic!("{line}: {other:?}"),
            };
            assert_eq!((is_later, unknown), (passes, false), "{line}");
            assert!(
                detail.starts_with("h:1 ") && detail.contains(says),
                "{line}: {detail}"
            );
        }
        // Nobody knows what else a server may say, nor what it did before.
        for line in [
            "ERR user_script:1: whatever",
            "WRONGTYPE Operation against a key",
            "XYZ what\x07ever",
        ] {
            assert!(
                matches!(answered(line), Fault::Final { unknown: true, .. }),
                "{line}"
            );
        }
    }
}

//! What a client is told when something is refused or fails: a prefix that programs know, and a text for people.

use super::reply::Reply;
use crate::{Error, Refusal};

/// The error of a command.
pub(super) fn told(error: &Error) -> Reply {
    Reply::error(match error {
        Error::Refused(refusal) => refused(refusal),
        Error::Unavailable { unknown: true, .. } => {
            format!("UNAVAILABLE {error}. A write may have been done all the same: read before writing again")
        }
        Error::Unavailable { .. } => format!("UNAVAILABLE {error}. Nothing was written; try again"),
        // What is damaged concerns the operator, and was logged where it was found.
        Error::Damaged(_) | Error::File { .. } => format!("UNAVAILABLE {error}"),
    })
}

fn refused(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoSession => format!(
            "NOSESSION {refusal}; take it from the header Foreshift-Session, or make one with POST /v1/sessions"
        ),
        Refusal::Revoked => format!("REVOKED {refusal}; nothing brings it back"),
        Refusal::Fenced { .. } => format!("FENCED {refusal}; do not try again here"),
        Refusal::TooLarge { .. } => format!("TOOLARGE {refusal}; nothing was written"),
        Refusal::Forbidden { .. } | Refusal::Undeclared(_) => format!("NOPERM {refusal}"),
        // Conditions of this view's own writes: others came between, each time.
        Refusal::Conflict { .. } => format!("UNAVAILABLE {refusal}: others wrote it each time; try again"),
        Refusal::NotFound(_) | Refusal::Invalid(_) => format!("ERR {refusal}"),
    }
}

#[cfg(test)]
mod tests {
    use foreshift_wire::{Epoch, NodeId, PartitionName};

    use super::*;

    #[test]
    fn every_refusal_has_its_prefix() {
        let unavailable = |unknown| Error::Unavailable {
            detail: "down".into(),
            unknown,
        };
        let large = Refusal::TooLarge {
            what: "the partition",
            bytes: 2,
            limit: 1,
        };
        let fenced = Refusal::Fenced {
            owner: NodeId::new("b").ok(),
            epoch: Epoch(9),
        };
        let forbidden = Refusal::Forbidden {
            verb: "read",
            partition: "auth".into(),
        };
        for (error, prefix, part) in [
            (Refusal::NoSession.into(), "NOSESSION", "POST /v1/sessions"),
            (Refusal::Revoked.into(), "REVOKED", "revoked"),
            (fenced.into(), "FENCED", "by b now (epoch 9)"),
            (large.into(), "TOOLARGE", "1 is the limit"),
            (forbidden.into(), "NOPERM", "read auth"),
            (
                Refusal::Undeclared(PartitionName::new("x").unwrap()).into(),
                "NOPERM",
                "declared",
            ),
            (Refusal::Invalid("no".into()).into(), "ERR", "no"),
            (unavailable(true), "UNAVAILABLE", "read before"),
            (unavailable(false), "UNAVAILABLE", "try again"),
        ] {
            let Reply::Error(text) = told(&error) else {
                panic!("{error}")
            };
            assert!(
                text.starts_with(&format!("{prefix} ")) && text.contains(part),
                "{text}"
            );
        }
    }
}

//! Who somebody is, by the token that it has.
//!
//! Every way in asks here: HTTP with what follows `Bearer`, the Redis view with what `AUTH` was told. What a caller may do then is
//! [`Sessions`](crate::Sessions)' to check. Where no token is configured everybody is taken in, which the configuration allows on
//! loopback only.

use std::{path::Path, sync::Arc};

use foreshift_secret::Token;
use foreshift_wire::{Epoch, NodeId, PartitionPattern, Session, SessionAccess};

use crate::{Access, Caller, Error};

/// Why somebody is not taken in. Says nothing of tokens that are good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// There is none.
    #[error("a token is needed: one of the files of [[session.token]] holds it")]
    Missing,
    /// No file holds it.
    #[error("this token is not known")]
    Unknown,
    /// It is that of another node.
    #[error("this token is that of another node than {said}")]
    OtherNode {
        /// Who the caller said it was.
        said: NodeId,
    },
}

/// The tokens of `[[session.token]]`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokens(Arc<[Known]>);

#[derive(Debug)]
struct Known {
    token: Token,
    access: Arc<Access>,
}

impl Tokens {
    /// Reads the files; makes those that are not there, each with a new token that only its owner can read.
    ///
    /// [`Error::File`] names a file that cannot be read or made, holds no token, or holds that of another one.
    pub fn open(config: &Session) -> Result<Self, Error> {
        let mut known: Vec<Known> = Vec::with_capacity(config.token.len());
        for one in &config.token {
            let unusable = |detail: String| unusable(&one.file, detail);
            let token = Token::open(&one.file).map_err(|error| unusable(error.to_string()))?;
            if known.iter().any(|other| other.token.same_as(&token)) {
                return Err(unusable(
                    "holds the same token as another file; each needs one of its own".into(),
                ));
            }
            let access = Access {
                level: one.access,
                partitions: one.partitions.clone(),
                node: one.node.clone(),
            };
            known.push(Known {
                token,
                access: access.into(),
            });
        }
        Ok(Self(known.into()))
    }

    /// Whether nobody gets in without one.
    pub fn are_needed(&self) -> bool {
        !self.0.is_empty()
    }

    /// Who sends this token. `node` is what the sender says of itself, and counts where its token is no node's; `epoch` is the reign
    /// in which it asks. The time that it takes does not depend on the tokens, but on how long they are.
    pub fn caller(
        &self,
        bearer: Option<&[u8]>,
        node: Option<NodeId>,
        epoch: Option<Epoch>,
    ) -> Result<Caller, NotAllowed> {
        let access = match self.are_needed() {
            true => self
                .find(bearer.ok_or(NotAllowed::Missing)?)
                .ok_or(NotAllowed::Unknown)?,
            false => everything(),
        };
        let node = match (&access.node, node) {
            (Some(bound), Some(said)) if *bound != said => return Err(NotAllowed::OtherNode { said }),
            (Some(bound), _) => Some(bound.clone()),
            (None, said) => said,
        };
        Ok(Caller { node, epoch, access })
    }

    fn find(&self, sent: &[u8]) -> Option<Arc<Access>> {
        // All are compared: where the right one is in the list does not show.
        let mut found = None;
        for known in self.0.iter() {
            if known.token.is(sent) {
                found = Some(&known.access);
            }
        }
        found.cloned()
    }
}

fn everything() -> Arc<Access> {
    Arc::new(Access {
        level: SessionAccess::Admin,
        partitions: vec![PartitionPattern::all()],
        node: None,
    })
}

fn unusable(file: &Path, detail: String) -> Error {
    Error::File {
        file: file.to_owned(),
        detail,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use foreshift_wire::SessionToken;

    use super::*;

    fn node(id: &str) -> NodeId {
        NodeId::new(id).unwrap()
    }

    fn token(file: &Path, node: Option<NodeId>, partitions: &[&str], access: SessionAccess) -> SessionToken {
        SessionToken {
            file: file.to_owned(),
            node,
            partitions: partitions
                .iter()
                .map(|p| PartitionPattern::new(p).unwrap())
                .collect(),
            access,
        }
    }

    #[test]
    fn a_token_says_who_somebody_is_and_what_it_may_do() {
        let folder = tempfile::tempdir().unwrap();
        let (game, all) = (folder.path().join("made/game"), folder.path().join("all"));
        let config = Session {
            token: vec![
                token(&game, Some(node("a")), &["game/*"], SessionAccess::Write),
                token(&all, None, &["*"], SessionAccess::Admin),
            ],
            ..Session::default()
        };
        let tokens = Tokens::open(&config).unwrap();
        assert_eq!(fs::metadata(&game).unwrap().permissions().mode() & 0o777, 0o600);
        let text = |file: &Path| fs::read_to_string(file).unwrap().trim().to_owned();
        let (game, all) = (text(&game), text(&all));
        assert_ne!(game, all);

        let caller = tokens
            .caller(Some(game.as_bytes()), None, Some(Epoch(7)))
            .unwrap();
        assert_eq!((caller.node, caller.epoch), (Some(node("a")), Some(Epoch(7))));
        assert_eq!(caller.access.level, SessionAccess::Write);
        assert_eq!(caller.access.node, Some(node("a")));
        let caller = tokens
            .caller(Some(all.as_bytes()), Some(node("b")), None)
            .unwrap();
        assert_eq!((caller.node, &caller.access.node), (Some(node("b")), &None));
        assert_eq!(caller.access.level, SessionAccess::Admin);

        let other = tokens.caller(Some(game.as_bytes()), Some(node("b")), None);
        assert_eq!(other.unwrap_err(), NotAllowed::OtherNode { said: node("b") });
        assert_eq!(
            tokens.caller(None, Some(node("a")), None).unwrap_err(),
            NotAllowed::Missing
        );
        for wrong in ["", "x", &game[1..], &format!("{game} "), &format!("{game}{all}")] {
            let refused = tokens.caller(Some(wrong.as_bytes()), None, None);
            assert_eq!(refused.unwrap_err(), NotAllowed::Unknown, "{wrong}");
        }
        let again = Tokens::open(&config).unwrap();
        assert!(
            again.caller(Some(game.as_bytes()), None, None).is_ok(),
            "the files stay"
        );
        assert!(!format!("{tokens:?}").contains(&game));
    }

    #[test]
    fn two_files_with_the_same_token_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["one", "two"].map(|name| folder.path().join(name));
        for file in &files {
            fs::write(file, "0123456789abcdef").unwrap();
        }
        let tokens = files
            .iter()
            .map(|file| token(file, None, &["*"], SessionAccess::Read));
        let config = Session {
            token: tokens.collect(),
            ..Session::default()
        };
        let error = Tokens::open(&config).unwrap_err().to_string();
        assert!(error.contains("two") && !error.contains("0123"), "{error}");
    }

    #[test]
    fn without_tokens_everybody_is_who_it_says() {
        let tokens = Tokens::open(&Session::default()).unwrap();
        assert!(!tokens.are_needed());
        for bearer in [None, Some(&b"anything"[..])] {
            let caller = tokens.caller(bearer, Some(node("a")), None).unwrap();
            assert_eq!(caller.node, Some(node("a")));
            assert_eq!(caller.access, Caller::own().access);
        }
    }
}

//! What the API says and is told of sessions' state.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Epoch, PartitionName, Version};
use crate::{NodeId, PoolName, Problem, SessionId};

/// A session, without its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// 32 hexadecimal digits.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// The pool whose ingress issued the id; absent where it was made over the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub pool: Option<PoolName>,
    /// When it began, in Unix milliseconds.
    pub created_ms: u64,
    /// When it was last used, in Unix milliseconds; renewed now and then, not with every use.
    pub used_ms: u64,
    /// It ends then at the latest, in Unix milliseconds.
    pub ends_ms: u64,
    /// The node that serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub owner: Option<NodeId>,
    /// In which reign.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
    /// When it was revoked, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<u64>,
}

/// Some sessions, in no order; one that comes or goes meanwhile may be in several pages or in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// Send it as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which sessions to list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SessionFilter {
    /// The page behind this one: what its `next` was.
    pub after: Option<String>,
}

/// A partition, without its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionView {
    /// Its name.
    #[schema(value_type = String)]
    pub name: PartitionName,
    /// That of its last write; its ETag.
    #[schema(value_type = u64)]
    pub version: Version,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of its keys and sealed values.
    pub bytes: u64,
    /// When it ends by itself, in Unix milliseconds; absent where only with its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// It is declared as secret: its values are not for people to see.
    #[serde(default, skip_serializing_if = "is_false")]
    pub secret: bool,
}

/// Since which version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SinceFilter {
    /// Only what was written after this version, removed keys included; all, where that is not known any more.
    #[param(value_type = Option<u64>)]
    pub since: Option<Version>,
}

/// A partition with its values, all at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionData {
    /// Its name.
    #[schema(value_type = String)]
    pub name: PartitionName,
    /// That of its last write; its ETag.
    #[schema(value_type = u64)]
    pub version: Version,
    /// `entries` are what changed after this version. Absent: they are all that there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub since: Option<Version>,
    /// When it ends by itself, in Unix milliseconds; absent where only with its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// In the order of their keys.
    pub entries: Vec<EntryView>,
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// The key, percent-encoded as in a URL's path.
    pub key: String,
    /// That of its last write.
    #[schema(value_type = u64)]
    pub version: Version,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The value, where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value in Base64, where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The key was removed in this version.
    #[serde(default, skip_serializing_if = "is_false")]
    pub removed: bool,
}

/// Keys to set, and in a `PATCH` to remove, as one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PartitionWrite {
    /// Each key at most once.
    pub entries: Vec<EntryWrite>,
}

/// One key's change. Of `value`, `value_base64` and `remove` exactly one is given; of the conditions at most one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryWrite {
    /// The key, percent-encoded as in a URL's path; 1 to 1,024 bytes.
    pub key: String,
    /// Its media type; `text/plain; charset=utf-8` for `value` and `application/octet-stream` for `value_base64` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The value as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_base64: Option<String>,
    /// The key goes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub remove: bool,
    /// Only where the key has this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub if_version: Option<Version>,
    /// Only where the key is there (`true`), or is not (`false`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_present: Option<bool>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WrittenView {
    /// The version of the partition, and of each key that was changed.
    #[schema(value_type = u64)]
    pub version: Version,
    /// Keys that were not there before.
    pub added: u32,
    /// Keys that are not there any more.
    pub removed: u32,
}

/// When a partition ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireRequest {
    /// So many milliseconds from now; only with its session where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

/// The problem of a node that does not serve the session any more: what it writes is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FencedProblem {
    /// What every problem has.
    #[serde(flatten)]
    pub problem: Problem,
    /// The node that serves the session now; `null` is nobody.
    #[schema(value_type = Option<String>)]
    pub owner: Option<NodeId>,
    /// In which reign.
    #[schema(value_type = u64)]
    pub epoch: Epoch,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What replay did since the start.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct SessionStats {
    /// By partition; at most 64 of them.
    pub partitions: Vec<PartitionStats>,
    /// Of partitions whose names came when there were that many.
    pub others: ReplayCounts,
    /// Bytes of keys and values that stayed behind, as nodes did not require their partitions.
    pub bytes_not_required: u64,
    /// Sessions of which it is remembered what nodes hold.
    pub sessions_known: u64,
    /// About how many bytes that takes.
    pub bytes_known: u64,
    /// One-time tokens that nodes were given and did not use yet.
    pub tokens: u64,
    /// How partitions are replayed in parts, and why; none where `session.split` is off.
    #[serde(default)]
    pub splits: Vec<SplitStats>,
}

/// How a partition of a pool's sessions is replayed: whole or in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SplitStats {
    /// The pool.
    #[schema(value_type = String)]
    pub pool: PoolName,
    /// The partition.
    #[schema(value_type = String)]
    pub partition: PartitionName,
    /// What is decided, and why.
    pub decision: SplitDecision,
    /// Reigns that count at present.
    pub reigns: u32,
    /// How often the decision on two parts changed since the start.
    pub changes: u64,
    /// How often a part was used that had been left out.
    pub misses: u64,
}

/// What is decided on a partition, and why. Parts are percent-encoded as keys are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum SplitDecision {
    /// It is replayed whole: too few reigns were seen.
    TooFew {
        /// So many are needed.
        needed: u32,
    },
    /// It is replayed whole: it has too many parts, or one with too long a name.
    TooMany,
    /// It is replayed whole: its parts are used together, or it is not sure that they are not.
    Whole,
    /// It is replayed in parts.
    Split {
        /// Parts that are told at every move.
        always: Vec<String>,
        /// Parts that are told together, where one of them was used.
        groups: Vec<Vec<String>>,
        /// The two parts of different groups that are used together the most.
        closest: [String; 2],
        /// The share of reigns that use both of them among those that use one, 0 to 1: the reason.
        share: f64,
    },
}

/// One partition's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartitionStats {
    /// Its name.
    #[schema(value_type = String)]
    pub name: PartitionName,
    /// What was replayed of it, over all sessions.
    pub replay: ReplayCounts,
}

/// What was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplayCounts {
    /// Portions that were made for nodes, to be sent or fetched.
    pub portions: u64,
    /// Those of them that were changes of what the node held.
    pub deltas: u64,
    /// Bytes of their bodies, as they travel.
    pub bytes_sent: u64,
    /// Bytes of keys and values that were not sent, as the nodes held them already.
    pub bytes_held: u64,
    /// Bytes of keys and values in parts that were left out, as they are used apart.
    pub bytes_left: u64,
    /// Portions that nodes acknowledged.
    pub acknowledged: u64,
}

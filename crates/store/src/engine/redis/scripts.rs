//! The scripts that servers run: each does its check and its change in one step.

use std::sync::LazyLock;

/// A script, and the name by which servers know it.
#[derive(Debug)]
pub(super) struct Script {
    /// What it is.
    pub(super) text: &'static str,
    hash: LazyLock<String>,
}

impl Script {
    /// By this servers find it.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }
}

macro_rules! script {
    ($name:ident, $($file:literal),+) => {
        pub(super) static $name: Script = Script {
            text: concat!($(include_str!($file)),+),
            hash: LazyLock::new(|| redis::Script::new($name.text).get_hash().into()),
        };
    };
}

script!(CLEAR, "common.lua", "clear.lua");
script!(HEADS, "common.lua", "heads.lua");
script!(READ, "common.lua", "read.lua");
script!(RECORD, "common.lua", "record.lua");
script!(SETTLE, "settle.lua");
script!(WRITE, "quick.lua", "common.lua", "write.lua");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{PARTITIONS_MAX, REMOVED_MAX};

    #[test]
    fn scripts_have_the_limits_of_all_engines() {
        let limits = format!("local removed_max, partitions_max = {REMOVED_MAX}, {PARTITIONS_MAX}\n");
        assert!(WRITE.text.contains(&limits));
    }
}

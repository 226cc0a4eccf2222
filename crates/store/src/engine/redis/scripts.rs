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
    ($name:ident, $file:literal) => {
        pub(super) static $name: Script = Script {
            text: concat!(include_str!("common.lua"), include_str!($file)),
            hash: LazyLock::new(|| redis::Script::new($name.text).get_hash().into()),
        };
    };
}

script!(CLEAR, "clear.lua");
script!(FIELD, "field.lua");
script!(HEADS, "heads.lua");
script!(READ, "read.lua");
script!(RECORD, "record.lua");
script!(WRITE, "write.lua");

//! What tests of several files share.
#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod cluster;
pub(crate) mod laws;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod service;
pub(crate) mod sessions;

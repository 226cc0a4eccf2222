//! Reads of partitions: of keys that are named by one plain command, which is one moment too and a third of a script's work.

use bytes::Bytes;
use foreshift_wire::{PartitionName, SessionId};
use redis::Cmd;

use super::{
    super::{Rows, Select},
    Redis, answers,
    run::Call,
    scripts,
};
use crate::Error;

impl Redis {
    pub(super) async fn select(
        &self,
        session: SessionId,
        partition: PartitionName,
        select: Select,
        now_ms: u64,
    ) -> Result<Option<Rows>, Error> {
        let since = match select {
            Select::Head => return self.some(session, partition, &[], now_ms).await,
            Select::Keys(keys) => return self.some(session, partition, &keys, now_ms).await,
            Select::All => None,
            Select::Since(version) => Some(version.0),
        };
        let arguments = |cmd: &mut Cmd, _: bool| {
            cmd.arg(partition.as_str()).arg(now_ms).arg(since);
        };
        let call = Call::Script(&scripts::READ);
        let answer = self.read_with(session, call, &arguments).await?;
        answers::rows(partition.clone(), answer)
    }

    async fn some(
        &self,
        session: SessionId,
        partition: PartitionName,
        keys: &[Bytes],
        now_ms: u64,
    ) -> Result<Option<Rows>, Error> {
        let mut wanted: Vec<_> = keys.iter().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let name = partition.as_str().as_bytes();
        let arguments = |cmd: &mut Cmd, _: bool| {
            cmd.arg([b"=", name].concat());
            for key in &wanted {
                cmd.arg([name, b"@", key].concat());
                cmd.arg([name, b"#", key].concat());
            }
        };
        let answer = self
            .read_with(session, Call::Command("HMGET"), &arguments)
            .await?;
        answers::some(partition.clone(), &wanted, now_ms, answer)
    }
}

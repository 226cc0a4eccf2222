//! Reads and writes, counted.

use std::time::Instant;

use foreshift_wire::{PartitionName, SessionId};

use super::{Batch, Caller, Part, Select, Sessions, Written};
use crate::{
    Error,
    metrics::{Operation, OperationCount, OperationTimes},
};

impl Sessions {
    /// Reads a partition at one moment.
    pub async fn read(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        select: Select,
    ) -> Result<Part, Error> {
        let begun = Instant::now();
        let read = self.read_now(caller, session, partition, select).await;
        let metrics = &self.0.metrics;
        metrics.count(Operation::Read, partition, begun.elapsed(), &read);
        read
    }

    /// Does a batch, or refuses all of it.
    pub async fn write(
        &self,
        caller: &Caller,
        session: SessionId,
        partition: &PartitionName,
        batch: Batch,
    ) -> Result<Written, Error> {
        let begun = Instant::now();
        let written = self.write_now(caller, session, partition, batch).await;
        let metrics = &self.0.metrics;
        metrics.count(Operation::Write, partition, begun.elapsed(), &written);
        written
    }

    /// Reads and writes since the start, by what came of them.
    pub fn operation_counts(&self) -> Vec<OperationCount> {
        self.0.metrics.counts()
    }

    /// How long they took.
    pub fn operation_times(&self) -> Vec<OperationTimes> {
        self.0.metrics.times()
    }
}

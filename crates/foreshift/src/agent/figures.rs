//! The machine's figures, from `/proc`.
//!
//! CPU and network are rates between two looks. What a machine does not have, such as pressure-stall figures in an old kernel, is left
//! out; only a machine without CPU times is an error.

use std::time::Instant;

use foreshift_wire::AgentSample;
use procfs::{
    CpuPressure, CpuTime, Current, CurrentSI, IoPressure, KernelStats, LoadAverage, Meminfo, MemoryPressure,
    PressureRecord, ProcResult, net,
};

/// What a look needs of the one before.
pub(super) struct Figures {
    cpu: Cpu,
    network: Option<(u64, Instant)>,
}

/// CPU time since the machine started, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cpu {
    busy: u64,
    all: u64,
}

impl Cpu {
    fn of(time: &CpuTime) -> Self {
        let or_0 = |ticks: Option<u64>| ticks.unwrap_or(0);
        let idle = time.idle + or_0(time.iowait);
        // Guests' time is in `user` and `nice` already.
        let busy =
            time.user + time.nice + time.system + or_0(time.irq) + or_0(time.softirq) + or_0(time.steal);
        Self {
            busy,
            all: busy + idle,
        }
    }

    /// The share in use since `before`; none where no time has passed, or the figures went back.
    fn share_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        let busy = self.busy.saturating_sub(before.busy).min(all);
        Some(busy as f64 / all as f64)
    }
}

impl Figures {
    pub(super) fn new() -> ProcResult<Self> {
        Ok(Self {
            cpu: Cpu::of(&KernelStats::current()?.total),
            network: network_bytes().map(|bytes| (bytes, Instant::now())),
        })
    }

    /// The figures since the last look, without a number.
    pub(super) fn measure(&mut self) -> ProcResult<AgentSample> {
        let cpu = Cpu::of(&KernelStats::current()?.total);
        let before = std::mem::replace(&mut self.cpu, cpu);
        let stalled = |record: PressureRecord| Some(f64::from(record.avg10) / 100.0);
        Ok(AgentSample {
            cpu: cpu.share_since(before),
            memory: Meminfo::current()
                .ok()
                .and_then(|memory| memory_share(memory.mem_total, memory.mem_available?)),
            network_bytes_per_s: self.network_per_s(),
            load_1m: LoadAverage::current().ok().map(|load| f64::from(load.one)),
            cpu_stalled: CpuPressure::current().ok().and_then(|cpu| stalled(cpu.some)),
            memory_stalled: MemoryPressure::current()
                .ok()
                .and_then(|memory| stalled(memory.some)),
            io_stalled: IoPressure::current().ok().and_then(|io| stalled(io.some)),
            ..AgentSample::default()
        })
    }

    fn network_per_s(&mut self) -> Option<f64> {
        let (bytes, now) = (network_bytes()?, Instant::now());
        let (before, since) = self.network.replace((bytes, now))?;
        let seconds = now.duration_since(since).as_secs_f64();
        // A device that went away takes its bytes along.
        let passed = bytes.checked_sub(before)?;
        (seconds > 0.0).then(|| passed as f64 / seconds)
    }
}

fn memory_share(total: u64, available: u64) -> Option<f64> {
    (total > 0).then(|| 1.0 - (available.min(total) as f64 / total as f64))
}

/// Bytes over all devices but loopback, both directions.
fn network_bytes() -> Option<u64> {
    let devices = net::dev_status().ok()?;
    let others = devices.values().filter(|device| device.name != "lo");
    Some(
        others
            .map(|device| device.recv_bytes.wrapping_add(device.sent_bytes))
            .fold(0, u64::wrapping_add),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpus_share_is_what_was_busy_of_what_passed() {
        let cpu = |busy, all| Cpu { busy, all };
        for (before, now, share) in [
            (cpu(10, 100), cpu(35, 200), Some(0.25)),
            (cpu(10, 100), cpu(110, 200), Some(1.0)),
            (cpu(10, 100), cpu(10, 200), Some(0.0)),
            (cpu(10, 100), cpu(10, 100), None),
            (cpu(10, 100), cpu(5, 50), None),
            (cpu(10, 100), cpu(5, 200), Some(0.0)),
        ] {
            assert_eq!(now.share_since(before), share, "{before:?} {now:?}");
        }
        assert_eq!(memory_share(100, 25), Some(0.75));
        assert_eq!((memory_share(100, 200), memory_share(0, 0)), (Some(0.0), None));
    }

    #[test]
    fn this_machine_has_figures_within_their_ranges() {
        let mut figures = Figures::new().unwrap();
        let sample = figures.measure().unwrap();
        for share in [
            sample.cpu,
            sample.memory,
            sample.cpu_stalled,
            sample.memory_stalled,
            sample.io_stalled,
        ] {
            assert!(
                share.is_none_or(|share| (0.0..=1.0).contains(&share)),
                "{sample:?}"
            );
        }
        assert!(sample.memory.is_some_and(|memory| memory > 0.0), "{sample:?}");
        assert!(sample.load_1m.is_some_and(|load| load >= 0.0), "{sample:?}");
    }
}

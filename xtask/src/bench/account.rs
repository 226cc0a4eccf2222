//! What a process has used, from the kernel's own books.

use std::{fs, time::Duration};

use anyhow::{Context, Result};

/// CPU time of all threads of a process so far, in user and kernel mode.
///
/// From `schedstat`, which counts nanoseconds; `stat` counts ticks of 10 ms.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let folder = format!("/proc/{pid}/task");
    let mut total = 0;
    for thread in fs::read_dir(&folder).with_context(|| format!("read {folder}: has the proxy ended?"))? {
        let file = thread?.path().join("schedstat");
        let Ok(text) = fs::read_to_string(&file) else {
            continue; // the thread ended meanwhile
        };
        total += on_cpu_ns(&text).with_context(|| format!("read {}: {text:?}", file.display()))?;
    }
    Ok(Duration::from_nanos(total))
}

/// Anonymous memory of a process that is resident, in KiB: heap and stacks, not files or kernel buffers.
pub(super) fn anonymous_kib(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
    anonymous(&text).with_context(|| format!("{file} has no line Anonymous"))
}

fn on_cpu_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_ascii_whitespace().next()?.parse().ok()
}

fn anonymous(smaps_rollup: &str) -> Option<u64> {
    let line = smaps_rollup
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_read() {
        assert_eq!(on_cpu_ns("329631862 444983 16\n"), Some(329_631_862));
        assert_eq!(
            anonymous("Rss: 12 kB\nAnonymous:          124 kB\nKSM: 0 kB\n"),
            Some(124)
        );
        assert_eq!(anonymous("Rss: 12 kB\n"), None);
    }

    #[test]
    fn this_process_has_used_some_of_both() {
        let pid = std::process::id();
        assert!(cpu_time(pid).unwrap() > Duration::ZERO);
        assert!(anonymous_kib(pid).unwrap() > 0);
    }
}

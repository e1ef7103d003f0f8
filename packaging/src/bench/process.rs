//! What processes have used, from `/proc`.

use std::fs;

/// CPU time of all threads of a process in nanoseconds. Threads that have ended are not included.
pub(super) fn cpu(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks
        .map(|task| fs::read_to_string(task.path().join("schedstat")).unwrap_or_default())
        .map(|text| first(&text))
        .sum()
}

/// Resident memory of a process; 0 if it has ended.
pub(super) fn rss_kib(process: u32) -> u64 {
    number(&format!("/proc/{process}/status"), "VmRSS:")
}

/// Number of open files of a process.
pub(super) fn files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().count()
}

/// Bytes that a process has written to storage.
pub(super) fn written(process: u32) -> u64 {
    number(&format!("/proc/{process}/io"), "write_bytes:")
}

fn number(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.map(first).unwrap_or_default()
}

/// The first number of a line: time on a CPU.
fn first(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_on_a_cpu_comes_first() {
        assert_eq!(first("123456789 42 7\n"), 123_456_789);
        assert_eq!(first(""), 0);
        assert!(cpu(std::process::id()) > 0 && rss_kib(std::process::id()) > 0);
    }
}

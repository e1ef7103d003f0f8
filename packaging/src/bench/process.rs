//! What processes have used, from `/proc`.

use std::{fs, time::Duration};

use nix::{time::clock_getcpuclockid, unistd::Pid};

/// CPU time of all threads of a process in nanoseconds. Threads that have ended are not included.
pub(super) fn cpu(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    tasks
        .map(|task| fs::read_to_string(task.path().join("schedstat")).unwrap_or_default())
        .map(|text| first(&text))
        .sum()
}

/// CPU time of a process in nanoseconds, with its threads that have ended.
pub(super) fn cpu_of_all_threads(process: u32) -> u64 {
    let clock = clock_getcpuclockid(Pid::from_raw(process.cast_signed()));
    let time = clock.and_then(nix::time::ClockId::now).map(Duration::from);
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
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

    #[test]
    fn the_time_of_an_ended_thread_is_included() {
        let own = std::process::id();
        let before = cpu_of_all_threads(own);

        let used = std::thread::spawn(|| {
            let started = std::time::Instant::now();
            while started.elapsed() < Duration::from_millis(20) {}
            cpu_of_this_thread()
        });
        let used = used.join().unwrap();

        assert!(used > 0 && cpu_of_all_threads(own) - before >= used);
        assert_eq!(cpu_of_all_threads(1 << 23), 0, "no such process");
    }

    fn cpu_of_this_thread() -> u64 {
        let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
        u64::try_from(Duration::from(time).as_nanos()).unwrap()
    }
}

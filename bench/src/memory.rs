//! Memory and processor time of a process, and the machine that all of it was measured on.

use std::fs;

/// The largest resident size that process `pid` (or `self`) has had, in kB; `None` once it is gone.
pub(crate) fn peak_kilobytes(pid: &str) -> Option<u64> {
    status(pid, "VmHWM:")
}

/// The resident size that process `pid` has now, in kB; `None` once it is gone.
pub(crate) fn resident_kilobytes(pid: &str) -> Option<u64> {
    status(pid, "VmRSS:")
}

fn status(pid: &str, name: &str) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, name)?.split_whitespace().next()?.parse().ok()
}

/// The processor time that process `pid` has used, in seconds, in steps of a hundredth.
pub(crate) fn cpu_seconds(pid: &str) -> Option<f64> {
    // proc(5): utime and stime are fields 14 and 15, cutime and cstime the two behind them.
    cpu_time(pid, 14)
}

/// The processor time of the children of this process that have ended and were waited for, in seconds.
pub(crate) fn cpu_seconds_of_children() -> Option<f64> {
    cpu_time("self", 16)
}

/// The sum of two fields that follow each other, counted behind the name, which may hold spaces; USER_HZ is 100.
fn cpu_time(pid: &str, first: usize) -> Option<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(") ")?;
    let ticks = behind.split_whitespace().skip(first - 3).take(2).map(|field| field.parse::<u32>().ok());
    Some(f64::from(ticks.sum::<Option<u32>>()?) / 100.0)
}

/// One line about the machine.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpu, "model name").map_or("unknown processor", |name| name.trim_start_matches([':', '\t', ' ']));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = field(&memory, "MemTotal:").unwrap_or("unknown memory").trim();
    format!("{cores} cores ({model}), {memory}")
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

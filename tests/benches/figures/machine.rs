// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the operating system knows: processor time, memory, places for data, how busy it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::Database;
use tempfile::TempDir;

/// Whether only a short run is wanted (`BENCH_QUICK=1`).
pub fn is_quick() -> bool {
    std::env::var_os("BENCH_QUICK").is_some_and(|value| value != "0" && !value.is_empty())
}

/// One of two sizes, by whether only a short run is wanted.
pub fn size<T>(full: T, quick: T) -> T {
    if is_quick() { quick } else { full }
}

/// Where data lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the disk of the folder for temporary files: every commit waits for it.
    Disk,
    /// In memory: nothing waits, so that what is computed shows.
    Memory,
}

impl Place {
    /// A folder there.
    pub fn folder(self) -> TempDir {
        let builder = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix("bailiwick-bench.");
            builder
        };
        match self {
            Self::Memory if Path::new("/dev/shm").is_dir() => builder().tempdir_in("/dev/shm"),
            _ => builder().tempdir(),
        }
        .expect("a temporary folder")
    }

    /// Where PostgreSQL keeps its data.
    pub fn of_postgres() -> Self {
        match Database::cluster_data() {
            Some(data) if data.starts_with("/dev/shm") => Self::Memory,
            _ => Self::Disk,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
        })
    }
}

/// Processor time that a process used so far, all of its threads, ended ones too.
pub fn cpu_of(pid: u32) -> Duration {
    ticks(Stat::of(pid).map_or(0, |stat| stat.own))
}

/// Processor time that this process used so far.
pub fn cpu_of_this() -> Duration {
    cpu_of(std::process::id())
}

/// Processor time that PostgreSQL used so far: the postmaster, those it started, and those of them that ended.
pub fn cpu_of_postgres() -> Duration {
    let postmaster = Database::cluster_data()
        .and_then(|data| fs::read_to_string(data.join("postmaster.pid")).ok())
        .and_then(|text| text.lines().next().and_then(|line| line.trim().parse::<u32>().ok()));
    let Some(postmaster) = postmaster else { return Duration::ZERO };
    let processes = fs::read_dir("/proc").expect("/proc");
    let all = processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Stat::of(pid).map(|stat| (pid, stat)));
    ticks(
        all.map(|(pid, stat)| match (pid, stat.parent) {
            (pid, _) if pid == postmaster => stat.own + stat.ended_children,
            (_, parent) if parent == postmaster => stat.own,
            _ => 0,
        })
        .sum(),
    )
}

/// Resident memory of a process, in bytes.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:").expect("a running process")
}

/// The most resident memory that a process had so far, in bytes; 0 when it has ended.
pub fn most_resident(pid: u32) -> u64 {
    memory(pid, "VmHWM:").unwrap_or(0)
}

fn memory(pid: u32, kind: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// How many processes wanted to run in the last minute, on average: whether figures are to be trusted.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// The bytes of a folder's files.
pub fn bytes_in(folder: &Path) -> u64 {
    let mut folders = vec![PathBuf::from(folder)];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

/// A line of `/proc/PID/stat` (proc_pid_stat(5)), as far as it matters.
struct Stat {
    parent: u32,
    own: u64,
    ended_children: u64,
}

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may contain anything.
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<_> = rest.split(' ').collect();
        let number = |field: usize| fields.get(field).and_then(|text| text.parse::<u64>().ok());
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

/// Linux counts a hundred to the second for programs, whatever the kernel's own clock.
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 10)
}

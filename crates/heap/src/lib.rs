// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The one place with `unsafe`, for the one thing that no safe interface offers.
//!
//! glibc keeps what a program freed, unless it lies at the end of an arena: a server that was busy once, or parsed much when it
//! started, stays as large as it was then. `malloc_trim(3)` gives back whatever whole pages are free.

/// Gives the free pages of all arenas back to the system, and says whether there were any. It takes some milliseconds for each 100
/// MiB, in which nobody else allocates. With other allocators than glibc's, which give memory back by themselves or not at all, it
/// does nothing.
pub fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "a foreign function")]
    // SAFETY: it takes a number and no pointer, touches only memory that nobody has, and takes the allocator's locks as every
    // allocation does.
    let any = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let any = false;
    any
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn what_was_freed_below_something_alive_is_given_back() {
        let resident = || {
            let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
            pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
        };
        let mut pieces: Vec<_> = (0..20_000).map(|_| vec![1_u8; 4_000]).collect();
        let last = pieces.pop();
        drop(pieces);
        let before = resident();
        assert!(super::trim());
        assert!(resident() + 10_000 < before, "{} pages of {before} are left", resident());
        drop(last);
    }
}

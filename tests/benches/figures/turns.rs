// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Working for a while and counting; both sides of a comparison in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::machine::size;
use crate::statistics::median;

/// How long a side works before it is the other's turn.
pub fn turn() -> Duration {
    Duration::from_millis(size(600, 200))
}

/// How often each side's turn comes.
pub fn rounds() -> usize {
    size(5, 3)
}

/// What two sides took for one operation, in seconds.
pub struct Compared {
    /// This side, the median of its turns.
    pub ours: f64,
    /// The other.
    pub theirs: f64,
    /// The median of the ratios of turns that followed each other.
    pub ratio: f64,
}

/// Lets two sides take turns. Each gives the seconds that an operation took.
pub fn compare(mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) -> Compared {
    // The first turns fill caches.
    theirs();
    ours();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        right.push(theirs());
        left.push(ours());
    }
    let ratios: Vec<_> = left.iter().zip(&right).map(|(ours, theirs)| ours / theirs).collect();
    Compared { ours: median(&left), theirs: median(&right), ratio: median(&ratios) }
}

/// Lets several sides take turns, and gives the median of each.
pub fn ladder(sides: &mut [Box<dyn FnMut() -> f64 + '_>]) -> Vec<f64> {
    let mut taken = vec![Vec::new(); sides.len()];
    for round in 0..=rounds() {
        for (side, taken) in sides.iter_mut().zip(&mut taken) {
            let seconds = side();
            if round > 0 {
                taken.push(seconds);
            }
        }
    }
    taken.iter().map(|taken| median(taken)).collect()
}

/// Seconds for an operation while so many tasks work at once, each giving its number and that of its operation.
pub fn tasks<F, Fut>(runtime: &Runtime, workers: usize, operation: F) -> f64
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let operation = Arc::new(operation);
    runtime.block_on(async {
        let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let working: Vec<_> = (0..workers)
            .map(|worker| {
                let (operation, done) = (Arc::clone(&operation), Arc::clone(&done));
                tokio::spawn(async move {
                    let mut number = 0;
                    while begun.elapsed() < turn() {
                        operation(worker, number).await;
                        number += 1;
                    }
                    done.fetch_add(number, Ordering::Relaxed);
                })
            })
            .collect();
        for worker in working {
            worker.await.expect("a worker");
        }
        begun.elapsed().as_secs_f64() / done.load(Ordering::Relaxed) as f64
    })
}

/// The same with threads.
pub fn threads(workers: usize, operation: impl Fn(usize, u64) + Sync) -> f64 {
    let (begun, done) = (Instant::now(), AtomicU64::new(0));
    thread::scope(|scope| {
        for worker in 0..workers {
            let (operation, done) = (&operation, &done);
            scope.spawn(move || {
                let mut number = 0;
                while begun.elapsed() < turn() {
                    operation(worker, number);
                    number += 1;
                }
                done.fetch_add(number, Ordering::Relaxed);
            });
        }
    });
    begun.elapsed().as_secs_f64() / done.load(Ordering::Relaxed) as f64
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Working for a while and counting; both sides of a comparison in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::machine::{cpu_of_postgres, cpu_of_this, size};
use crate::statistics::median;

/// How long a side works before it is the other's turn.
pub fn turn() -> Duration {
    Duration::from_millis(size(600, 200))
}

/// How often each side's turn comes.
pub fn rounds() -> usize {
    size(5, 3)
}

/// What an operation took, in seconds.
#[derive(Clone, Copy)]
pub struct Cost {
    /// On the clock, while others worked at the same time.
    pub time: f64,
    /// Of processors: this process and PostgreSQL. Waiting does not count, neither for a disk nor for other programs.
    pub work: f64,
}

/// What two sides took for one operation, and how many times theirs ours is.
pub struct Compared {
    /// This side, the median of its turns.
    pub ours: Cost,
    /// The other.
    pub theirs: Cost,
    /// The medians of the ratios of turns that followed each other.
    pub ratio: Cost,
}

/// Lets two sides take turns.
pub fn compare(mut ours: impl FnMut() -> Cost, mut theirs: impl FnMut() -> Cost) -> Compared {
    // The first turns fill caches.
    theirs();
    ours();
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for _ in 0..rounds() {
        right.push(theirs());
        left.push(ours());
    }
    let ratio = |(ours, theirs): (&Cost, &Cost)| Cost {
        time: ours.time / theirs.time,
        work: ours.work / theirs.work,
    };
    let ratios: Vec<_> = left.iter().zip(&right).map(ratio).collect();
    Compared { ours: Cost::median(&left), theirs: Cost::median(&right), ratio: Cost::median(&ratios) }
}

/// Lets several sides take turns, and gives the median of each.
pub fn ladder(sides: &mut [Box<dyn FnMut() -> Cost + '_>]) -> Vec<Cost> {
    let mut taken = vec![Vec::new(); sides.len()];
    for round in 0..=rounds() {
        for (side, taken) in sides.iter_mut().zip(&mut taken) {
            let cost = side();
            if round > 0 {
                taken.push(cost);
            }
        }
    }
    taken.iter().map(|taken| Cost::median(taken)).collect()
}

impl Cost {
    fn median(costs: &[Self]) -> Self {
        let of = |part: fn(&Self) -> f64| median(&costs.iter().map(part).collect::<Vec<_>>());
        Self { time: of(|cost| cost.time), work: of(|cost| cost.work) }
    }
}

/// Measures from its making to its end.
struct Meter {
    begun: Instant,
    worked: Duration,
}

impl Meter {
    fn start() -> Self {
        Self { worked: worked(), begun: Instant::now() }
    }

    /// Whether it is the other's turn.
    fn is_over(&self) -> bool {
        self.begun.elapsed() >= turn()
    }

    fn of_each(&self, time: Duration, done: &AtomicU64) -> Cost {
        let done = done.load(Ordering::Relaxed) as f64;
        Cost { time: time.as_secs_f64() / done, work: (worked() - self.worked).as_secs_f64() / done }
    }
}

fn worked() -> Duration {
    cpu_of_this() + cpu_of_postgres()
}

/// The cost of an operation while so many tasks work at once, each giving its number and that of its operation.
pub fn tasks<F, Fut>(runtime: &Runtime, workers: usize, operation: F) -> Cost
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    tasks_and(runtime, workers, operation, async {})
}

/// The same; what is left to do afterwards counts as work, not as time.
pub fn tasks_and<F, Fut>(
    runtime: &Runtime,
    workers: usize,
    operation: F,
    afterwards: impl Future<Output = ()>,
) -> Cost
where
    F: Fn(usize, u64) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send,
{
    let operation = Arc::new(operation);
    runtime.block_on(async {
        let (meter, done) = (Arc::new(Meter::start()), Arc::new(AtomicU64::new(0)));
        let working: Vec<_> = (0..workers)
            .map(|worker| {
                let (operation, meter, done) =
                    (Arc::clone(&operation), Arc::clone(&meter), Arc::clone(&done));
                tokio::spawn(async move {
                    let mut number = 0;
                    while !meter.is_over() {
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
        let time = meter.begun.elapsed();
        afterwards.await;
        meter.of_each(time, &done)
    })
}

/// The same with threads.
pub fn threads(workers: usize, operation: impl Fn(usize, u64) + Sync) -> Cost {
    let (meter, done) = (Meter::start(), AtomicU64::new(0));
    thread::scope(|scope| {
        for worker in 0..workers {
            let (operation, meter, done) = (&operation, &meter, &done);
            scope.spawn(move || {
                let mut number = 0;
                while !meter.is_over() {
                    operation(worker, number);
                    number += 1;
                }
                done.fetch_add(number, Ordering::Relaxed);
            });
        }
    });
    meter.of_each(meter.begun.elapsed(), &done)
}

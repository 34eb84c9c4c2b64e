//! Work on several things at a time.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Things that are worked on at a time.
const AT_A_TIME: usize = 2;

/// What `work` gives for each of `things`, in their order; they are begun in it as well.
pub fn side_by_side<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let one_after_another = || {
        let indices = std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|at| *at < things.len());
        indices.map(|at| (at, work(&things[at]))).collect::<Vec<_>>()
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(one_after_another)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic)))
            .collect()
    });
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_things() {
        let things: Vec<u64> = (0..100).collect();
        let doubled = side_by_side(&things, |thing| {
            thread::yield_now();
            thing * 2
        });
        assert_eq!(doubled, things.iter().map(|thing| thing * 2).collect::<Vec<_>>());
        assert!(side_by_side(&[], |thing: &u64| *thing).is_empty());
    }
}

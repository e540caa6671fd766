//! Circles of threads that wait for each other. Pure.

use std::collections::HashMap;

/// Each circle once, from its smallest thread on. `edges` are threads that wait and who holds what they wait for; a
/// thread waits for one lock at a time, so at most one edge leaves it, and what is reached twice is a circle.
pub(crate) fn cycles(edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
    let waits_for: HashMap<u32, u32> = edges.iter().copied().collect();
    // In which walk a thread was seen first.
    let mut seen = HashMap::<u32, usize>::new();
    let mut found = Vec::new();
    for (walk, (start, _)) in edges.iter().enumerate() {
        let mut path = Vec::new();
        let mut at = *start;
        while let Some(next) = waits_for.get(&at) {
            match seen.insert(at, walk) {
                None => path.push(at),
                Some(earlier) if earlier == walk => {
                    let begin = path.iter().position(|thread| *thread == at).unwrap_or(0);
                    found.push(from_smallest(&path[begin..]));
                    break;
                }
                Some(earlier) => {
                    // Known from an earlier walk: nothing new beyond here.
                    seen.insert(at, earlier);
                    break;
                }
            }
            at = *next;
        }
    }
    found.sort();
    found
}

fn from_smallest(circle: &[u32]) -> Vec<u32> {
    let smallest = circle.iter().enumerate().min_by_key(|(_, thread)| **thread).map_or(0, |(at, _)| at);
    circle[smallest..].iter().chain(&circle[..smallest]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(edges: &[(u32, u32)], expected: &[&[u32]]) {
        assert_eq!(cycles(edges), expected, "{edges:?}");
        let reversed: Vec<_> = edges.iter().rev().copied().collect();
        assert_eq!(cycles(&reversed), expected, "in the other order: {edges:?}");
    }

    #[test]
    fn a_queue_is_no_circle() {
        check(&[], &[]);
        check(&[(1, 2), (2, 3), (4, 3)], &[]);
    }
    #[test]
    fn two_that_wait_for_each_other_are_one() {
        check(&[(1, 2), (2, 1)], &[&[1, 2]]);
    }
    #[test]
    fn who_waits_for_itself_is_one() {
        check(&[(7, 7)], &[&[7]]);
    }
    #[test]
    fn those_before_a_circle_are_not_in_it() {
        check(&[(9, 3), (3, 5), (5, 4), (4, 3), (8, 9)], &[&[3, 5, 4]]);
    }
    #[test]
    fn circles_are_found_side_by_side() {
        check(&[(1, 2), (2, 1), (5, 6), (6, 5)], &[&[1, 2], &[5, 6]]);
    }
    /// Against trying every thread: it is in a circle if following the waits leads back to it.
    #[test]
    fn all_small_graphs_agree_with_the_naive_way() {
        for code in 0..5_u32.pow(4) {
            // Thread t of 1 to 4 waits for thread 1 to 4, or (0) for nobody.
            let target = |thread: u32| code / 5_u32.pow(thread - 1) % 5;
            let edges: Vec<_> = (1..=4).filter(|t| target(*t) != 0).map(|t| (t, target(t))).collect();
            let comes_back = |thread: u32| {
                let mut at = thread;
                (0..4).any(|_| {
                    at = if at == 0 { 0 } else { target(at) };
                    at == thread
                })
            };
            let naive: Vec<_> = (1..=4).filter(|thread| comes_back(*thread)).collect();
            let mut ours: Vec<_> = cycles(&edges).concat();
            ours.sort_unstable();
            assert_eq!(ours, naive, "{edges:?}");
        }
    }
}

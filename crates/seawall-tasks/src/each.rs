//! Many small jobs, so many at once and no more, without tasks of their own: they run inside the caller's future.

use std::num::NonZeroUsize;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// Runs `work` on each item, at most `parallelism` at once, and waits for all. The first error ends it, and what runs
/// then is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::num::NonZeroUsize;
///
/// let two = NonZeroUsize::new(2).unwrap();
/// seawall_tasks::for_each(1..=3, two, async |n: u32| if n < 9 { Ok(()) } else { Err("too large") }).await?;
/// # Ok::<(), &str>(()) }).unwrap();
/// ```
///
/// # Errors
/// The first error of `work`.
///
/// # Cancel safety
/// Dropping it drops what runs; items that were not begun stay untouched.
pub async fn for_each<I, F, Fut, E>(items: I, parallelism: NonZeroUsize, work: F) -> Result<(), E>
where
    I: IntoIterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    let mut items = items.into_iter();
    let mut running: FuturesUnordered<_> = items.by_ref().take(parallelism.get()).map(&work).collect();
    while let Some(done) = running.next().await {
        done?;
        running.extend(items.next().map(&work));
    }
    Ok(())
}

/// As [`for_each`], and gives the results in the order of the items.
///
/// # Errors
/// The first error of `work`.
///
/// # Cancel safety
/// Dropping it drops what runs, and the results so far.
pub async fn map<I, F, Fut, T, E>(items: I, parallelism: NonZeroUsize, work: F) -> Result<Vec<T>, E>
where
    I: IntoIterator,
    F: Fn(I::Item) -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let numbered = |(number, item)| {
        let result = work(item);
        async move { (number, result.await) }
    };
    let mut items = items.into_iter().enumerate();
    let mut running: FuturesUnordered<_> = items.by_ref().take(parallelism.get()).map(numbered).collect();
    let mut results = Vec::new();
    while let Some((number, result)) = running.next().await {
        let result = result?;
        if results.len() <= number {
            results.resize_with(number + 1, || None);
        }
        results[number] = Some(result);
        running.extend(items.next().map(numbered));
    }
    Ok(results.into_iter().flatten().collect())
}

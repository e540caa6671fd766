//! What the cache promises: one load per key, nobody stranded, nothing served past its time.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::ManualClock;

type Answer = Result<u32, &'static str>;

/// A load under the test's control.
#[derive(Clone, Default)]
struct Loader {
    started: Rc<Cell<u32>>,
    answer: Rc<RefCell<Option<Answer>>>,
}

impl Loader {
    fn answer(&self, answer: Answer) {
        *self.answer.borrow_mut() = Some(answer);
    }

    async fn load(self) -> Answer {
        self.started.set(self.started.get() + 1);
        // Polled by hand, so no waker is needed.
        std::future::poll_fn(|_| self.answer.borrow().map_or(Poll::Pending, Poll::Ready)).await
    }
}

struct Fixture {
    clock: Arc<ManualClock>,
    cache: Cache<u32, u32>,
    loader: Loader,
}

type Read<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

impl Fixture {
    fn new(soft_ttl: Option<u64>, ttl: Option<u64>) -> Self {
        let clock = Arc::new(ManualClock::new());
        let config = CacheConfig {
            name: "test".to_owned(),
            soft_ttl: soft_ttl.map(Duration::from_secs),
            ttl: ttl.map(Duration::from_secs),
            ..CacheConfig::default()
        };
        let cache = Cache::with_clock(&config, &Registry::new(), Arc::<ManualClock>::clone(&clock)).unwrap();
        Self { clock, cache, loader: Loader::default() }
    }

    fn read(&self) -> Read<'_> {
        let loader = self.loader.clone();
        Box::pin(self.cache.get_or_load(&1, move || loader.load()))
    }

    /// A read that must not have to wait.
    fn now(&self) -> Answer {
        poll(&mut self.read()).expect("an answer at once")
    }
}

fn poll(read: &mut Read<'_>) -> Option<Answer> {
    match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

#[test]
fn a_loaded_value_is_kept() {
    let fixture = Fixture::new(None, None);
    fixture.loader.answer(Ok(7));
    assert_eq!([fixture.now(), fixture.now()], [Ok(7), Ok(7)]);
    assert_eq!(fixture.loader.started.get(), 1);
}

#[test]
fn many_callers_share_one_load() {
    let fixture = Fixture::new(None, None);
    let mut reads: Vec<_> = (0..100).map(|_| fixture.read()).collect();
    assert!(reads.iter_mut().all(|read| poll(read).is_none()));
    fixture.loader.answer(Ok(7));
    assert!(reads.iter_mut().all(|read| poll(read) == Some(Ok(7))));
    assert_eq!(fixture.loader.started.get(), 1);
}

#[test]
fn a_cancelled_leader_strands_nobody() {
    let fixture = Fixture::new(None, None);
    let (mut leader, mut one, mut two) = (fixture.read(), fixture.read(), fixture.read());
    for read in [&mut leader, &mut one, &mut two] {
        assert_eq!(poll(read), None);
    }
    drop(leader);
    assert_eq!(poll(&mut one), None, "leads now");
    assert_eq!(poll(&mut two), None, "waits for the new leader");
    fixture.loader.answer(Ok(7));
    assert_eq!(poll(&mut one), Some(Ok(7)));
    assert_eq!(poll(&mut two), Some(Ok(7)));
    assert_eq!(fixture.loader.started.get(), 2);
}

#[test]
fn an_error_is_shared_and_not_kept() {
    let fixture = Fixture::new(None, None);
    let (mut leader, mut waiter) = (fixture.read(), fixture.read());
    assert_eq!((poll(&mut leader), poll(&mut waiter)), (None, None));
    fixture.loader.answer(Err("down"));
    assert_eq!((poll(&mut leader), poll(&mut waiter)), (Some(Err("down")), Some(Err("down"))));
    fixture.loader.answer(Ok(7));
    assert_eq!(fixture.now(), Ok(7));
}

#[test]
fn a_value_past_its_expiry_is_loaded_again() {
    let fixture = Fixture::new(None, Some(10));
    fixture.loader.answer(Ok(7));
    assert_eq!(fixture.now(), Ok(7));
    fixture.loader.answer(Ok(8));
    fixture.clock.advance(Duration::from_secs(9));
    assert_eq!(fixture.now(), Ok(7));
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.cache.get(&1), None);
    assert_eq!(fixture.now(), Ok(8));
}

#[test]
fn past_the_soft_expiry_one_renews_and_the_others_do_not_wait() {
    let fixture = Fixture::new(Some(5), Some(10));
    fixture.loader.answer(Ok(7));
    assert_eq!(fixture.now(), Ok(7));
    fixture.clock.advance(Duration::from_secs(5));
    *fixture.loader.answer.borrow_mut() = None;
    let mut renewal = fixture.read();
    assert_eq!(poll(&mut renewal), None);
    assert_eq!(fixture.now(), Ok(7));
    fixture.loader.answer(Ok(8));
    assert_eq!(poll(&mut renewal), Some(Ok(8)));
    assert_eq!(fixture.now(), Ok(8));
}

#[test]
fn the_old_value_stands_in_for_a_failed_renewal_until_the_hard_expiry() {
    let fixture = Fixture::new(Some(5), Some(10));
    fixture.loader.answer(Ok(7));
    assert_eq!(fixture.now(), Ok(7));
    fixture.loader.answer(Err("down"));
    fixture.clock.advance(Duration::from_secs(9));
    assert_eq!(fixture.now(), Ok(7));
    fixture.clock.advance(Duration::from_secs(1));
    assert_eq!(fixture.now(), Err("down"));
}

#[test]
fn what_was_invalidated_while_loading_is_not_kept() {
    let fixture = Fixture::new(None, None);
    let mut old = fixture.read();
    assert_eq!(poll(&mut old), None);
    fixture.cache.invalidate(&1);
    fixture.loader.answer(Ok(7));
    assert_eq!(poll(&mut old), Some(Ok(7)), "its caller asked before");
    assert_eq!(fixture.cache.get(&1), None);
}

#[test]
fn an_old_load_does_not_overwrite_an_insert() {
    let fixture = Fixture::new(None, None);
    let mut old = fixture.read();
    assert_eq!(poll(&mut old), None);
    fixture.cache.insert(1, 9);
    fixture.loader.answer(Ok(7));
    assert_eq!(poll(&mut old), Some(Ok(7)));
    assert_eq!(fixture.cache.get(&1), Some(9));
}

#[test]
fn a_panicking_load_frees_its_key() {
    let fixture = Fixture::new(None, None);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut read: Read<'_> = Box::pin(fixture.cache.get_or_load(&1, || async { panic!("on purpose") }));
        poll(&mut read)
    }));
    assert!(outcome.is_err());
    fixture.loader.answer(Ok(7));
    assert_eq!(fixture.now(), Ok(7));
}

#[test]
fn the_bound_holds() {
    let config = CacheConfig { capacity: 100, expected_items: 100, ..CacheConfig::default() };
    let cache = Cache::<u32, u32>::new(&config, &Registry::new()).unwrap();
    (0..10_000).for_each(|key| cache.insert(key, key));
    assert!(cache.len() <= 100, "{}", cache.len());
}

#[test]
fn weights_are_bounded_too() {
    let config = CacheConfig { capacity: 1_000, expected_items: 100, ..CacheConfig::default() };
    let cache =
        Cache::<u32, String>::weighted(&config, &Registry::new(), |_, text| text.len() as u64).unwrap();
    (0..1_000).for_each(|key| cache.insert(key, "x".repeat(100)));
    assert!(cache.len() <= 10, "{}", cache.len());
}

#[test]
fn a_soft_expiry_after_the_hard_one_is_refused() {
    let config = CacheConfig {
        soft_ttl: Some(Duration::from_secs(2)),
        ttl: Some(Duration::from_secs(1)),
        ..CacheConfig::default()
    };
    let error = Cache::<u32, u32>::new(&config, &Registry::new()).unwrap_err();
    assert_eq!(error.to_string(), "`cache.soft_ttl` is 2s, but must be at most `cache.ttl`, 1s");
}

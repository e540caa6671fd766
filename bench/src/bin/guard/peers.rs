//! The others.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use failsafe::CircuitBreaker as _;
use governor::{Quota, RateLimiter};
use tower::{Layer as _, Service};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_ratelimiter::{RateLimiterLayer, WindowType};

use crate::{keys, measure};

pub(crate) fn run(case: &str, threads: usize) -> bool {
    match case {
        "direct-governor" => {
            let limiter = Arc::new(RateLimiter::direct(Quota::per_second(NonZeroU32::MAX)));
            measure(threads, move |_| {
                let limiter = Arc::clone(&limiter);
                move || drop(black_box(limiter.check()))
            });
        }
        "hot-governor" => keyed(threads, 1),
        "million-governor" => keyed(threads, 1_000_000),
        "breaker-failsafe" => {
            let breaker = Arc::new(failsafe::Config::new().build());
            measure(threads, move |_| {
                let breaker = Arc::clone(&breaker);
                move || drop(black_box(breaker.call(|| Ok::<(), ()>(()))))
            });
        }
        "breaker-recloser" => {
            let breaker = Arc::new(recloser::Recloser::default());
            measure(threads, move |_| {
                let breaker = Arc::clone(&breaker);
                move || drop(black_box(breaker.call(|| Ok::<(), ()>(()))))
            });
        }
        "direct-tower-resilience" => service(threads, || {
            let layer = RateLimiterLayer::builder()
                .limit_for_period(1_000_000_000)
                .refresh_period(Duration::from_secs(1))
                .window_type(WindowType::SlidingCounter)
                .build();
            layer.expect("good values").layer(inner())
        }),
        "breaker-tower-resilience" => {
            service(threads, || CircuitBreakerLayer::builder().build().expect("good values").layer(inner()))
        }
        "limit-tower" => service(threads, || tower::limit::ConcurrencyLimit::new(inner(), 1_000)),
        "limit-tower-shed" => service(threads, || {
            tower::load_shed::LoadShed::new(tower::limit::ConcurrencyLimit::new(inner(), 1_000))
        }),
        "limit-tower-resilience" => service(threads, || {
            BulkheadLayer::builder().max_concurrent_calls(1_000).build().expect("good values").layer(inner())
        }),
        _ => return false,
    }
    true
}

fn keyed(threads: usize, below: u64) {
    let limiter = Arc::new(RateLimiter::keyed(Quota::per_second(NonZeroU32::MAX)));
    (0..below).for_each(|key| drop(limiter.check_key(&key)));
    measure(threads, move |thread| {
        let (limiter, mut key) = (Arc::clone(&limiter), keys(thread, below));
        move || drop(black_box(limiter.check_key(&key())))
    });
}

/// A service that is ready at once, and an answer that is there.
#[derive(Clone)]
struct Inner;

fn inner() -> Inner {
    Inner
}

impl Service<()> for Inner {
    type Response = ();
    type Error = Infallible;
    type Future = Ready<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

/// One call of a service: ready, called, answered. All threads have clones of one, as connections do.
fn service<S>(threads: usize, make: impl Fn() -> S)
where
    S: Service<(), Response = ()> + Clone + Send + Sync + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handle = runtime.handle().clone();
    let shared = {
        let _entered = runtime.enter();
        make()
    };
    measure(threads, move |_| {
        let mut service = shared.clone();
        // For those that ask for a runtime when they are called; entered once, not once a call.
        let handle: &'static tokio::runtime::Handle = Box::leak(Box::new(handle.clone()));
        let entered = handle.enter();
        move || {
            let _ = &entered;
            let mut context = Context::from_waker(Waker::noop());
            // One that takes an asynchronous lock may have to wait for the other thread.
            while service.poll_ready(&mut context).is_pending() {
                std::hint::spin_loop();
            }
            let mut answer = pin!(service.call(()));
            while answer.as_mut().poll(&mut context).is_pending() {
                std::hint::spin_loop();
            }
        }
    });
}

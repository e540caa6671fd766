//! The store with the time in hand, and against a plain map.

use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use proptest::prelude::*;

use super::*;

fn cache() -> MemoryCache {
    MemoryCache::new(&MemoryCacheConfig { max_variants: 2, ..MemoryCacheConfig::default() }).unwrap()
}

fn language(language: &str) -> HeaderMap {
    let value = (!language.is_empty()).then(|| HeaderValue::from_str(language).unwrap());
    value.into_iter().map(|value| (header::ACCEPT_LANGUAGE, value)).collect()
}

/// An answer that depends on the language, or on nothing if that is empty.
fn answer(body: impl Into<Bytes>, for_language: &str) -> Arc<CachedAnswer> {
    let values = language(for_language).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    let vary = (!values.is_empty()).then_some((header::ACCEPT_LANGUAGE, values));
    Arc::new(CachedAnswer {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.into(),
        made_at: SystemTime::UNIX_EPOCH,
        fresh_for: Duration::from_secs(10),
        vary: vary.into_iter().collect(),
        for_all: true,
    })
}

const KEY: [u8; 32] = [1; 32];

fn at(start: Instant, seconds: u64) -> Instant {
    start + Duration::from_secs(seconds)
}

#[track_caller]
fn claim(cache: &MemoryCache, key: [u8; 32], request: &HeaderMap, now: Instant) -> MemoryClaim {
    match cache.missing(key, request, now, false) {
        Missing::Claimed(claim) => claim,
        Missing::Kept(_) => panic!("it is there"),
        Missing::Wait(_) => panic!("somebody makes it"),
    }
}
fn waits(cache: &MemoryCache, request: &HeaderMap, now: Instant) -> bool {
    matches!(cache.missing(KEY, request, now, false), Missing::Wait(_))
}
fn body(cache: &MemoryCache, request: &HeaderMap, now: Instant) -> Option<Bytes> {
    cache.find(KEY, request, now).map(|answer| answer.body.clone())
}

#[test]
fn an_answer_is_there_until_it_runs_out() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let first = claim(&cache, KEY, &any, start);
    assert_eq!(body(&cache, &any, start), None);
    cache.keep(&first, answer("a", ""), at(start, 10), start);
    assert_eq!(body(&cache, &any, at(start, 9)), Some(Bytes::from("a")));
    assert_eq!(body(&cache, &any, at(start, 10)), None);
    assert_eq!(cache.find([2; 32], &any, start), None);
}

#[test]
fn variants_stand_beside_each_other_up_to_a_number() {
    let (cache, start) = (cache(), clock::now());
    for (number, name) in ["de", "fr", "en"].into_iter().enumerate() {
        let one = claim(&cache, KEY, &language(name), start);
        cache.keep(&one, answer(name, name), at(start, 10 + number as u64), start);
    }
    assert_eq!(body(&cache, &language("de"), start), None, "the oldest made room");
    assert_eq!(body(&cache, &language("fr"), start), Some(Bytes::from("fr")));
    assert_eq!(body(&cache, &language("en"), start), Some(Bytes::from("en")));
    assert_eq!(body(&cache, &HeaderMap::new(), start), None);
    let again = claim(&cache, KEY, &language("en"), at(start, 12));
    cache.keep(&again, answer("EN", "en"), at(start, 20), at(start, 12));
    assert_eq!(cache.answers.get(&KEY).unwrap().variants.len(), 1, "what has run out has gone");
}

#[test]
fn one_makes_it_and_the_others_of_the_same_variant_wait() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let first = claim(&cache, KEY, &any, start);
    assert!(waits(&cache, &any, start));
    assert!(waits(&cache, &language("fr"), start), "nobody knows yet that the language matters");
    cache.keep(&first, answer("de", "de"), at(start, 10), start);
    drop(first);
    let french = claim(&cache, KEY, &language("fr"), start);
    assert!(waits(&cache, &language("fr"), start));
    let _english = claim(&cache, KEY, &language("en"), start);
    drop(french);
    let _again = claim(&cache, KEY, &language("fr"), start);
}

#[test]
fn for_what_is_not_kept_nobody_waits_for_a_while() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let first = claim(&cache, KEY, &any, start);
    cache.do_not_wait(&first, start);
    drop(first);
    let _second = claim(&cache, KEY, &any, at(start, 9));
    let third = claim(&cache, KEY, &any, at(start, 9));
    cache.keep(&third, answer("a", ""), at(start, 11), at(start, 9));
    let _fourth = claim(&cache, KEY, &any, at(start, 11));
    assert!(waits(&cache, &any, at(start, 11)), "it was kept meanwhile");
}

#[test]
fn what_was_forgotten_while_it_was_made_is_not_kept() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let early = claim(&cache, KEY, &any, start);
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(cache.invalidate(KEY)).unwrap();
    cache.keep(&early, answer("old", ""), at(start, 10), start);
    assert_eq!(body(&cache, &any, start), None);
    drop(early);
    let late = claim(&cache, KEY, &any, start);
    cache.clear();
    cache.keep(&late, answer("old", ""), at(start, 10), start);
    assert_eq!(body(&cache, &any, start), None);
    drop(late);
    let fine = claim(&cache, KEY, &any, start);
    cache.keep(&fine, answer("new", ""), at(start, 10), start);
    assert_eq!(body(&cache, &any, start), Some(Bytes::from("new")));
}

#[test]
fn nothing_stays_behind_when_all_have_gone() {
    let (cache, start) = (cache(), clock::now());
    let claims: Vec<_> = (0..100).map(|name| claim(&cache, [name; 32], &HeaderMap::new(), start)).collect();
    assert_eq!(cache.flights.lock().running.len(), 100);
    drop(claims);
    assert!(cache.flights.lock().running.is_empty());
}

#[test]
fn bytes_have_a_bound() {
    let config = MemoryCacheConfig { max_bytes: 64 << 10, ..MemoryCacheConfig::default() };
    let (cache, start, any) = (MemoryCache::new(&config).unwrap(), clock::now(), HeaderMap::new());
    for name in 0..=255 {
        let one = claim(&cache, [name; 32], &any, start);
        cache.keep(&one, answer(vec![name; 4_000], ""), at(start, 10), start);
        assert!(cache.bytes() <= 64 << 10, "{cache:?}");
    }
    assert!(cache.len() > 8, "{cache:?}");
    let large = claim(&cache, KEY, &any, at(start, 11));
    cache.keep(&large, answer(vec![0; 65_000], ""), at(start, 20), at(start, 11));
    assert!(cache.bytes() <= 64 << 10, "{cache:?}");
}

#[test]
fn an_answer_that_is_too_large_has_nobody_wait_for_it() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let one = claim(&cache, KEY, &any, start);
    cache.keep(&one, answer(vec![0; 4 << 20], ""), at(start, 10), start);
    drop(one);
    assert_eq!(body(&cache, &any, start), None);
    let _second = claim(&cache, KEY, &any, start);
    let _third = claim(&cache, KEY, &any, start);
}

#[test]
fn large_variants_push_the_oldest_out_and_not_each_other() {
    let config = MemoryCacheConfig { max_variants: 1_000, ..MemoryCacheConfig::default() };
    let (cache, start) = (MemoryCache::new(&config).unwrap(), clock::now());
    for number in 0..100 {
        let name = number.to_string();
        let one = claim(&cache, KEY, &language(&name), start);
        cache.keep(&one, answer(vec![0; 256 << 10], &name), at(start, 10), start);
        assert!(body(&cache, &language(&name), start).is_some(), "{name}");
    }
    let kept = cache.answers.get(&KEY).unwrap().variants.len();
    assert!((10..=16).contains(&kept), "{kept}");
}

#[test]
fn the_largest_answer_fits_by_default() {
    let (cache, start, any) = (cache(), clock::now(), HeaderMap::new());
    let one = claim(&cache, KEY, &any, start);
    cache.keep(&one, answer(vec![0; 256 << 10], ""), at(start, 10), start);
    assert!(cache.find(KEY, &any, start).is_some());
}

#[test]
fn bounds_that_are_none_are_refused() {
    let problem = |config| MemoryCache::new(&config).unwrap_err().field().to_owned();
    assert_eq!(problem(MemoryCacheConfig { max_bytes: 1, ..Default::default() }), "memory_cache.max_bytes");
    assert_eq!(
        problem(MemoryCacheConfig { max_variants: 0, ..Default::default() }),
        "memory_cache.max_variants"
    );
    let long = MemoryCacheConfig { max_wait: Duration::from_secs(3_601), ..Default::default() };
    assert_eq!(problem(long), "memory_cache.max_wait");
}

proptest! {
    /// A map of what was kept last and neither ran out nor was forgotten is the oracle; that it has something which
    /// the cache has not is allowed, for that may have made room.
    #[test]
    fn what_is_found_was_kept_last_and_is_fresh(
        steps in prop::collection::vec((0_u8..4, 0_u8..3, 0_u8..3, 0_u64..4), 0..60),
    ) {
        let (cache, start) = (cache(), clock::now());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut oracle = HashMap::new();
        let mut claims = HashMap::new();
        let mut now = start;
        for (number, (step, key, name, pause)) in steps.into_iter().enumerate() {
            now += Duration::from_secs(pause);
            let request = language(["de", "fr", "en"][usize::from(name)]);
            match step {
                0 => if let Missing::Claimed(claim) = cache.missing([key; 32], &request, now, false) {
                    claims.insert((key, name), (claim, false));
                },
                1 => if let Some((claim, forgotten)) = claims.remove(&(key, name)) {
                    let ends = now + Duration::from_secs(5);
                    let made = answer(number.to_string(), ["de", "fr", "en"][usize::from(name)]);
                    cache.keep(&claim, Arc::clone(&made), ends, now);
                    if !forgotten {
                        oracle.insert((key, name), (made, ends));
                    }
                },
                2 => {
                    runtime.block_on(cache.invalidate([key; 32])).unwrap();
                    oracle.retain(|(known, _), _| *known != key);
                    claims.iter_mut().filter(|((known, _), _)| *known == key).for_each(|(_, claim)| claim.1 = true);
                }
                _ => if let Some(found) = cache.find([key; 32], &request, now) {
                    let expected = oracle.get(&(key, name));
                    prop_assert!(expected.is_some_and(|(made, ends)| *made == found && *ends > now));
                },
            }
            prop_assert!(cache.flights.lock().running.len() <= claims.len());
        }
    }
}

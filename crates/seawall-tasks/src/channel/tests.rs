//! The channel's policies as sentences, and its wake-ups under every order that a random scheduler finds.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;

use super::*;

fn full(overflow: Overflow) -> (Sender<u8>, Receiver<u8>) {
    let (sender, receiver) = channel(2, overflow).unwrap();
    assert_eq!((sender.try_send(1), sender.try_send(2)), (Ok(Sent::Queued), Ok(Sent::Queued)));
    (sender, receiver)
}

fn drained(receiver: &Receiver<u8>) -> Vec<u8> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

/// Polls once; the answer, if there is one already.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

#[test]
fn reject_gives_the_value_back() {
    let (sender, receiver) = full(Overflow::Reject);
    assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
    assert_eq!(drained(&receiver), [1, 2]);
}
#[test]
fn drop_newest_keeps_what_waits_and_counts() {
    let (sender, receiver) = full(Overflow::DropNewest);
    assert_eq!(sender.try_send(3), Ok(Sent::Dropped));
    assert_eq!((drained(&receiver), sender.dropped()), (vec![1, 2], 1));
}
#[test]
fn drop_oldest_keeps_the_latest_and_counts() {
    let (sender, receiver) = full(Overflow::DropOldest);
    assert_eq!(sender.try_send(3), Ok(Sent::Displaced));
    assert_eq!((drained(&receiver), receiver.dropped()), (vec![2, 3], 1));
}
#[test]
fn wait_waits_until_there_is_room() {
    let (sender, receiver) = full(Overflow::Wait);
    assert_eq!(sender.try_send(3), Err(SendError::Full(3)));
    let mut third = std::pin::pin!(sender.send(3));
    assert_eq!(poll(third.as_mut()), None);
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(poll(third.as_mut()), Some(Ok(Sent::Queued)));
    assert_eq!(drained(&receiver), [2, 3]);
}
#[test]
fn a_dropped_send_was_not_sent() {
    let (sender, receiver) = full(Overflow::Wait);
    {
        let mut third = std::pin::pin!(sender.send(3));
        assert_eq!(poll(third.as_mut()), None);
    }
    assert_eq!(drained(&receiver), [1, 2]);
}
#[test]
fn receivers_take_what_waits_and_then_hear_the_end() {
    let (sender, receiver) = full(Overflow::Wait);
    drop(sender);
    assert_eq!(drained(&receiver), [1, 2]);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(std::pin::pin!(receiver.recv())), Some(None));
}
#[test]
fn a_closed_channel_takes_nothing_more() {
    let (sender, receiver) = full(Overflow::Wait);
    let mut third = std::pin::pin!(sender.send(3));
    assert_eq!(poll(third.as_mut()), None);
    receiver.close();
    assert_eq!(poll(third.as_mut()), Some(Err(SendError::Closed(3))));
    assert_eq!(drained(&receiver), [1, 2]);
}
#[test]
fn senders_hear_that_the_last_receiver_is_gone() {
    let (sender, receiver) = full(Overflow::DropOldest);
    let other = receiver.clone();
    drop(receiver);
    assert_eq!(sender.try_send(3), Ok(Sent::Displaced));
    drop(other);
    assert_eq!(sender.try_send(4), Err(SendError::Closed(4)));
    assert!(sender.is_empty());
}
#[test]
fn a_capacity_out_of_range_is_refused() {
    for bad in [0, MAX_CAPACITY + 1] {
        assert!(channel::<u8>(bad, Overflow::Wait).unwrap_err().to_string().contains("channel.capacity"));
    }
}

/// Says that its task may run.
struct Flag(AtomicBool);
impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A task of the small scheduler below. It runs only after it was woken, so a lost wake-up leaves it behind.
struct Job<'a> {
    receives: bool,
    future: Pin<Box<dyn Future<Output = ()> + 'a>>,
    woken: Arc<Flag>,
}

/// Runs woken jobs in the order that `choices` says and drops some half-way; those that are left are asleep.
fn run<'a>(mut jobs: Vec<Job<'a>>, choices: &[u16], cancel_one_in: u16) -> Vec<Job<'a>> {
    for choice in choices.iter().copied().cycle() {
        let ready: Vec<_> = (0..jobs.len()).filter(|job| jobs[*job].woken.0.load(SeqCst)).collect();
        if ready.is_empty() {
            break;
        }
        let at = ready[usize::from(choice) % ready.len()];
        if cancel_one_in > 0 && (choice >> 8) % cancel_one_in == 0 {
            drop(jobs.swap_remove(at));
            continue;
        }
        jobs[at].woken.0.store(false, SeqCst);
        let waker = Waker::from(Arc::clone(&jobs[at].woken));
        if jobs[at].future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(jobs.swap_remove(at));
        }
    }
    jobs
}

fn job<'a>(receives: bool, future: impl Future<Output = ()> + 'a) -> Job<'a> {
    Job { receives, future: Box::pin(future), woken: Arc::new(Flag(AtomicBool::new(true))) }
}

proptest! {
    /// Every value arrives once, in the order of its sender, whatever the order in which tasks run.
    #[test]
    fn nothing_is_lost_and_nobody_is_left_asleep(
        capacity in 1_usize..4, senders in 1_usize..4, receivers in 1_usize..4, each in 0_usize..6,
        choices in prop::collection::vec(any::<u16>(), 1..200),
    ) {
        let (sender, receiver) = channel(capacity, Overflow::Wait).unwrap();
        let got = parking_lot::Mutex::new(Vec::new());
        let mut jobs = Vec::new();
        for number in 0..senders {
            let sender = sender.clone();
            jobs.push(job(false, async move {
                for value in 0..each {
                    sender.send((number, value)).await.unwrap();
                }
            }));
        }
        for _ in 0..receivers {
            let (receiver, got) = (receiver.clone(), &got);
            jobs.push(job(true, async move {
                while let Some(value) = receiver.recv().await {
                    got.lock().push(value);
                }
            }));
        }
        drop((sender, receiver));
        prop_assert!(run(jobs, &choices, 0).is_empty(), "a task was left asleep");
        let got = got.into_inner();
        prop_assert_eq!(got.len(), senders * each);
        for number in 0..senders {
            let values: Vec<_> = got.iter().filter(|(from, _)| *from == number).map(|(_, value)| *value).collect();
            prop_assert_eq!(values, (0..each).collect::<Vec<_>>());
        }
    }

    /// Tasks that go away half-way pass their wake-ups on: a value never lies beside a receiver that sleeps, nor room
    /// beside a sender.
    #[test]
    fn a_dropped_future_takes_no_wake_up_with_it(
        capacity in 1_usize..3, cancel_one_in in 2_u16..6, choices in prop::collection::vec(any::<u16>(), 1..200),
    ) {
        let (sender, receiver) = channel(capacity, Overflow::Wait).unwrap();
        let mut jobs = Vec::new();
        for number in 0..6_u32 {
            let (to, from) = (sender.clone(), receiver.clone());
            jobs.push(job(false, async move {
                for _ in 0..3 {
                    let _ = to.send(number).await;
                }
            }));
            jobs.push(job(true, async move {
                for _ in 0..3 {
                    from.recv().await;
                }
            }));
        }
        let asleep = run(jobs, &choices, cancel_one_in);
        let (receivers, senders): (Vec<_>, Vec<_>) = asleep.into_iter().partition(|job| job.receives);
        prop_assert!(receivers.is_empty() || sender.is_empty(), "a receiver sleeps beside {} values", sender.len());
        prop_assert!(senders.is_empty() || sender.len() == capacity, "a sender sleeps beside room");
    }

    /// The queue against a plain one, for every policy.
    #[test]
    fn policies_match_a_plain_queue(
        policy in 0_usize..3, capacity in 1_usize..5, script in prop::collection::vec(any::<bool>(), 0..60),
    ) {
        let overflow = [Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest][policy];
        let (sender, receiver) = channel(capacity, overflow).unwrap();
        let (mut plain, mut dropped) = (VecDeque::new(), 0);
        for (value, send) in script.into_iter().enumerate() {
            if !send {
                prop_assert_eq!(receiver.try_recv().ok(), plain.pop_front());
                continue;
            }
            let room = plain.len() < capacity;
            let sent = sender.try_send(value);
            match overflow {
                _ if room => plain.push_back(value),
                Overflow::Wait | Overflow::Reject => prop_assert_eq!(sent, Err(SendError::Full(value))),
                Overflow::DropNewest => dropped += 1,
                Overflow::DropOldest => {
                    plain.pop_front();
                    plain.push_back(value);
                    dropped += 1;
                }
            }
        }
        prop_assert_eq!(sender.len(), plain.len());
        prop_assert_eq!(sender.dropped(), dropped);
    }
}

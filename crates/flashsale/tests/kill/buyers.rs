//! The clients: each buys one thing after the other, writes down every attempt, and asks again under the same key until
//! it knows.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flashsale::checker::history::OrderState;
use flashsale::checker::{Answer, History, Kind, Operation};

use crate::http::{Answered, Client};

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Small reproducible random numbers (splitmix64).
pub(crate) struct Luck(u64);

impl Luck {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Where the server is, while there is one.
struct Whereabouts {
    addr: Mutex<Option<SocketAddr>>,
    changed: Condvar,
    stop: AtomicBool,
    began: Instant,
}

pub(crate) struct Buyers {
    whereabouts: Arc<Whereabouts>,
    threads: Vec<JoinHandle<Vec<Operation>>>,
}

impl Buyers {
    pub(crate) fn start(addr: SocketAddr, clients: u64, seed: u64) -> Self {
        let whereabouts = Arc::new(Whereabouts {
            addr: Mutex::new(Some(addr)),
            changed: Condvar::new(),
            stop: AtomicBool::new(false),
            began: now(),
        });
        let spawn = |number: u64| {
            let whereabouts = Arc::clone(&whereabouts);
            let luck = Luck::new(seed ^ ((number + 1) << 32));
            let buyer = Buyer { whereabouts, luck, client: Client::default(), log: Vec::new() };
            std::thread::spawn(move || buyer.run(number))
        };
        let threads = (0..clients).map(spawn).collect();
        Self { whereabouts, threads }
    }

    /// The server is about to be killed: requests under way are, new ones wait for the next server.
    pub(crate) fn lost_the_server(&self) {
        *self.whereabouts.addr.lock().unwrap() = None;
    }

    pub(crate) fn found(&self, addr: SocketAddr) {
        *self.whereabouts.addr.lock().unwrap() = Some(addr);
        self.whereabouts.changed.notify_all();
    }

    /// Lets every client finish its order, and waits until all orders are final.
    pub(crate) fn finish(self) -> History {
        self.whereabouts.stop.store(true, Ordering::SeqCst);
        let logs = self.threads.into_iter().map(|thread| thread.join().unwrap());
        History { operations: logs.flatten().collect() }
    }
}

struct Buyer {
    whereabouts: Arc<Whereabouts>,
    luck: Luck,
    client: Client,
    log: Vec<Operation>,
}

/// What one order is about.
struct Wish {
    user_id: u64,
    product_id: u64,
    key: String,
}

impl Buyer {
    fn run(mut self, number: u64) -> Vec<Operation> {
        let mut orders = Vec::new();
        for count in 0_u64.. {
            if self.whereabouts.stop.load(Ordering::SeqCst) {
                break;
            }
            let wish = Wish {
                user_id: self.user(),
                product_id: 1 + self.luck.below(2),
                key: format!("buyer-{number}-{count}"),
            };
            let Some(order_id) = self.create(&wish) else { continue };
            match self.luck.below(4) {
                0 => drop(self.attempt(&wish, Kind::Cancel, Some(order_id))),
                1 => {} // never pays: it expires
                _ => {
                    self.await_state(&wish, order_id, |state| state != OrderState::Pending);
                    self.attempt(&wish, Kind::Pay, Some(order_id));
                }
            }
            orders.push((wish, order_id));
        }
        for (wish, order_id) in orders {
            self.await_state(&wish, order_id, OrderState::is_final);
        }
        self.log
    }

    fn user(&mut self) -> u64 {
        let made = self.patiently(|buyer, addr| {
            buyer.client.send(addr, "POST", "/api/v1/users", "-", r#"{"name":"Ann"}"#).ok()
        });
        made.body["id"].as_u64().unwrap()
    }

    /// The order's number, or `None` if it is refused for good. A double click now and then.
    fn create(&mut self, wish: &Wish) -> Option<u64> {
        let mut answer = self.attempt(wish, Kind::Create, None);
        if self.luck.below(5) == 0 {
            answer = self.attempt(wish, Kind::Create, None);
        }
        match answer {
            Answer::Ok { order_id, .. } => Some(order_id),
            Answer::Refused { status, code } => {
                assert_eq!((status, code.as_deref()), (409, Some("sold_out")), "key {}", wish.key);
                None
            }
            Answer::Unknown => unreachable!("an attempt ends with an answer"),
        }
    }

    fn await_state(&mut self, wish: &Wish, order_id: u64, wanted: impl Fn(OrderState) -> bool) {
        let until = now() + PATIENCE;
        loop {
            match self.attempt(wish, Kind::Status, Some(order_id)) {
                Answer::Ok { state, .. } if wanted(state) => return,
                Answer::Ok { state, .. } => {
                    assert!(now() < until, "order {order_id} stays {}", state.name());
                    crate::pause(Duration::from_millis(2));
                }
                other => panic!("order {order_id} (key {}) was acknowledged, now {other:?}", wish.key),
            }
        }
    }

    /// Asks until there is an answer. Every attempt goes into the log.
    fn attempt(&mut self, wish: &Wish, kind: Kind, order_id: Option<u64>) -> Answer {
        let id = order_id.unwrap_or(0);
        let (method, path) = match kind {
            Kind::Create => ("POST", "/api/v1/orders".to_owned()),
            Kind::Pay => ("POST", format!("/api/v1/orders/{id}/pay")),
            Kind::Cancel => ("POST", format!("/api/v1/orders/{id}/cancel")),
            Kind::Status => ("GET", format!("/api/v1/orders/{id}")),
        };
        let Wish { user_id, product_id, key } = wish;
        let body = if kind == Kind::Create {
            format!(r#"{{"user_id":{user_id},"product_id":{product_id},"quantity":1}}"#)
        } else {
            String::new()
        };
        self.patiently(|buyer, addr| {
            let invoked_us = buyer.elapsed_us();
            let sent = buyer.client.send(addr, method, &path, key, &body);
            let answer = sent.map_or(Answer::Unknown, answer);
            buyer.log.push(Operation {
                kind,
                user_id: *user_id,
                product_id: *product_id,
                quantity: 1,
                key: key.clone(),
                order_id,
                invoked_us,
                finished_us: buyer.elapsed_us(),
                answer: answer.clone(),
            });
            let passing = matches!(answer, Answer::Unknown | Answer::Refused { status: 503, .. });
            (!passing).then_some(answer)
        })
    }

    /// Repeats until it gives something; waits for a server first.
    fn patiently<T>(&mut self, mut ask: impl FnMut(&mut Self, SocketAddr) -> Option<T>) -> T {
        let until = now() + PATIENCE;
        loop {
            assert!(now() < until, "no answer within {PATIENCE:?}");
            let addr = self.server();
            if let Some(answer) = ask(self, addr) {
                return answer;
            }
            crate::pause(Duration::from_millis(1));
        }
    }

    fn server(&self) -> SocketAddr {
        let addr = self.whereabouts.addr.lock().unwrap();
        let (addr, _) =
            self.whereabouts.changed.wait_timeout_while(addr, PATIENCE, |addr| addr.is_none()).unwrap();
        addr.expect("a server comes back")
    }

    fn elapsed_us(&self) -> u64 {
        u64::try_from(now().duration_since(self.whereabouts.began).as_micros()).unwrap()
    }
}

fn answer(answered: Answered) -> Answer {
    let Answered { status, body } = answered;
    if !(200..300).contains(&status) {
        return Answer::Refused { status, code: body["code"].as_str().map(str::to_owned) };
    }
    let order_id = body["order_id"].as_u64().expect("an answer has a number");
    let state = body["state"].as_str().and_then(OrderState::parse).expect("an answer has a state");
    Answer::Ok { order_id, state }
}

#[expect(clippy::disallowed_methods, reason = "the clients' clock")]
fn now() -> Instant {
    Instant::now()
}

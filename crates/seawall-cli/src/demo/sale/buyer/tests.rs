//! Buyers against a scripted shop: the test gives the answers and looks at what is asked next.

use seawall_load::ErrorClass;

use super::*;
use crate::demo::sale::plan::Random;

/// A buyer and the script's clock.
struct Scene {
    buyer: Buyer,
    now: Duration,
    journal: Journal,
    /// The request that the buyer sends next.
    request: Option<String>,
    pause: Duration,
}

impl Scene {
    /// A buyer who looks once and has this intention.
    fn new(intent: Intent, watches: bool) -> Self {
        let plan = Plan {
            arrival: Duration::ZERO,
            looks: vec![Duration::ZERO],
            decide: Duration::from_millis(300),
            intent,
            second_click: None,
            watches,
            random: Random::new(1, 1),
        };
        let journal = Journal::default();
        let wire = Wire { host: "shop".to_owned(), product: 1 };
        let shared = Shared {
            wire,
            journal: journal.clone(),
            busy: AtomicUsize::new(0),
            watch_until: Duration::from_secs(60),
        };
        let buyer = Buyer::new(Arc::new(shared), 7, "k".to_owned(), plan, None);
        let mut scene = Self { buyer, now: Duration::ZERO, journal, request: None, pause: Duration::ZERO };
        scene.hear(Event::Start);
        scene
    }

    fn hear(&mut self, event: Event<'_>) {
        match self.buyer.next(event, self.now) {
            Step::Done => self.request = None,
            Step::Send { request, after, .. } => {
                self.request = Some(String::from_utf8(request).unwrap());
                self.pause = after;
                self.now += after + Duration::from_millis(1);
            }
        }
    }

    fn answer(&mut self, status: u16, head: &str, body: &str) -> &mut Self {
        let head = format!("HTTP/1.1 {status} x\r\n{head}\r\n\r\n");
        let sent = self.now;
        self.now += Duration::from_millis(1);
        self.hear(Event::Answer(Answer::new(status, sent, head.as_bytes(), body.as_bytes())));
        self
    }

    fn order(&mut self, status: u16, state: &str) -> &mut Self {
        self.answer(status, "", &format!(r#"{{"order_id":42,"state":"{state}"}}"#))
    }

    fn fail(&mut self) -> &mut Self {
        let sent = Some(self.now);
        self.now += PATIENCE;
        self.hear(Event::Failed { class: ErrorClass::TimeoutFirstByte, sent });
        self
    }

    #[track_caller]
    fn asks(&mut self, start: &str) -> &mut Self {
        let request = self.request.as_deref().unwrap_or("(left)");
        assert!(request.starts_with(start), "{request} is not {start}");
        self
    }

    #[track_caller]
    fn left(&mut self) {
        assert_eq!(self.request, None);
    }

    fn kinds(&self) -> Vec<(Kind, bool)> {
        let known = |operation: &Operation| (operation.kind, operation.answer != Said::Unknown);
        self.journal.take().operations.iter().map(known).collect()
    }
}

const LOOK: &str = "GET /api/v1/products/1 ";
const ORDER: &str = "POST /api/v1/orders ";
const ASK: &str = "GET /api/v1/orders/42 ";
const PAY: &str = "POST /api/v1/orders/42/pay ";
const CANCEL: &str = "POST /api/v1/orders/42/cancel ";
const STOCK: &str = "GET /api/v1/products/1/stock ";
const SOLD_OUT: &str = r#"{"message":"sold out","code":"sold_out"}"#;

/// A buyer who has looked and now orders.
fn ordering(intent: Intent, watches: bool) -> Scene {
    let mut scene = Scene::new(intent, watches);
    scene.asks(LOOK).answer(200, "", "{}").asks(ORDER);
    scene
}

#[test]
fn who_gets_an_order_pays_it() {
    let mut scene = ordering(Intent::Pay, false);
    scene.order(202, "pending").asks(ASK).order(200, "pending").asks(ASK);
    scene.order(200, "confirmed").asks(PAY).order(200, "paid").left();
    let kinds = [Kind::Create, Kind::Status, Kind::Status, Kind::Pay].map(|kind| (kind, true));
    assert_eq!(scene.kinds(), kinds);
}

#[test]
fn who_never_pays_asks_until_it_is_expired() {
    let mut scene = ordering(Intent::NeverPay, false);
    scene.order(202, "pending").order(200, "confirmed").asks(ASK).order(200, "confirmed").asks(ASK);
    scene.order(200, "expired").left();
}

#[test]
fn an_order_may_be_cancelled_before_or_after_it_is_confirmed() {
    ordering(Intent::CancelPending, false).order(202, "pending").asks(CANCEL).order(200, "cancelled").left();
    let mut scene = ordering(Intent::CancelConfirmed, false);
    scene.order(202, "pending").asks(ASK).order(200, "confirmed").asks(CANCEL).order(200, "cancelled").left();
}

#[test]
fn a_refusal_is_retried_three_times_with_the_same_key_and_not_before_it_may() {
    let mut scene = ordering(Intent::Pay, false);
    let key = |scene: &Scene| {
        let request = scene.request.as_deref().unwrap_or_default();
        request.lines().find(|line| line.starts_with("Idempotency-Key")).map(str::to_owned)
    };
    let first = key(&scene);
    assert_eq!(first.as_deref(), Some("Idempotency-Key: k"));
    for _ in 0..3 {
        scene.answer(503, "Retry-After: 1", "{}").asks(ORDER);
        assert_eq!(key(&scene), first);
        assert!(scene.pause >= Duration::from_secs(1), "{:?}", scene.pause);
    }
    scene.answer(503, "Retry-After: 1", "{}").left();
}

#[test]
fn an_order_without_an_answer_is_unknown_and_sent_again() {
    let mut scene = ordering(Intent::Pay, false);
    scene.fail().asks(ORDER).order(202, "pending").asks(ASK);
    assert_eq!(scene.kinds(), [(Kind::Create, false), (Kind::Create, true)]);
}

#[test]
fn who_comes_too_late_leaves() {
    ordering(Intent::Pay, false).answer(409, "", SOLD_OUT).left();
}

#[test]
fn who_watches_buys_what_comes_back_under_a_new_key_and_pays() {
    let mut scene = ordering(Intent::NeverPay, true);
    scene.answer(409, "", SOLD_OUT).asks(STOCK).answer(200, "", r#"{"left":0}"#).asks(STOCK);
    scene.answer(200, "", r#"{"left":1}"#).asks(ORDER);
    assert!(scene.request.as_deref().unwrap_or_default().contains("Idempotency-Key: k+1"));
    scene.order(202, "pending").order(200, "confirmed").asks(PAY);
}

#[test]
fn an_order_found_by_the_second_click_has_the_first_key() {
    let mut scene = ordering(Intent::Pay, true);
    let found = Found::default();
    scene.buyer.second_click = Some(Arc::clone(&found));
    scene.answer(409, "", SOLD_OUT).asks(STOCK).answer(200, "", r#"{"left":1}"#).asks(ORDER);
    *found.lock().unwrap() = Some(42);
    scene.answer(409, "", SOLD_OUT).asks(ASK).order(200, "confirmed").asks(PAY).order(200, "paid").left();
    let operations = scene.journal.take().operations;
    let keys: Vec<_> = operations.iter().map(|operation| (operation.kind, operation.key.as_str())).collect();
    let expected = [(Kind::Create, "k"), (Kind::Create, "k+1"), (Kind::Status, "k"), (Kind::Pay, "k")];
    assert_eq!(keys, expected);
}

/// How often the buyer looks at an empty shelf before leaving.
fn looks_at_nothing(scene: &mut Scene) -> u32 {
    let mut looks = 0;
    while scene.request.is_some() {
        scene.asks(STOCK).answer(200, "", r#"{"left":0}"#);
        looks += 1;
        assert!(looks < 100);
    }
    looks
}

#[test]
fn watching_ends_when_nobody_can_give_units_back() {
    let mut scene = ordering(Intent::Pay, true);
    scene.answer(409, "", SOLD_OUT);
    assert_eq!(looks_at_nothing(&mut scene), QUIET_LOOKS);
}

#[test]
fn watching_goes_on_as_long_as_somebody_has_an_order_but_not_for_ever() {
    let mut scene = ordering(Intent::Pay, true);
    scene.buyer.shared.busy.fetch_add(1, SeqCst);
    scene.answer(409, "", SOLD_OUT);
    assert!(looks_at_nothing(&mut scene) > 40);
}

#[test]
fn whoever_is_done_or_watches_is_not_busy() {
    let busy = |scene: &Scene| scene.buyer.shared.busy.load(SeqCst);
    let mut scene = ordering(Intent::Pay, true);
    assert_eq!(busy(&scene), 1);
    scene.answer(409, "", SOLD_OUT);
    assert_eq!(busy(&scene), 0);
    scene.answer(200, "", r#"{"left":1}"#).asks(ORDER);
    assert_eq!(busy(&scene), 1);
    scene.order(202, "pending").order(200, "confirmed").order(200, "paid").left();
    assert_eq!(busy(&scene), 0);
}

#[test]
fn a_rejected_order_is_like_sold_out() {
    ordering(Intent::Pay, false).order(202, "pending").order(200, "rejected").left();
    ordering(Intent::Pay, true).order(202, "pending").order(200, "rejected").asks(STOCK);
}

#[test]
fn a_payment_that_fails_is_looked_into() {
    let mut scene = ordering(Intent::Pay, false);
    scene.order(202, "pending").order(200, "confirmed").asks(PAY).fail().asks(ASK);
    scene.order(200, "confirmed").asks(PAY).answer(409, "", r#"{"code":"wrong_state"}"#).asks(ASK);
    scene.order(200, "expired").left();
}

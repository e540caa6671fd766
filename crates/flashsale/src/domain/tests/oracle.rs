//! The shop against a naive model of itself: any sequence of events, restarts and redeliveries included, must give the
//! same answers, states and stock, and a ledger that the checker has nothing to say about.

use proptest::prelude::*;
use proptest::{collection, sample};

use super::*;
use crate::checker::{Answer, History, Kind, Operation, Rules, check};

const LIMIT: u32 = 3;
const UNITS: u64 = 5;

#[derive(Debug, Clone)]
enum Event {
    Place {
        user: usize,
        product_id: u64,
        quantity: u32,
        key: usize,
    },
    Settle,
    Redeliver(sample::Index),
    Pay(sample::Index),
    Cancel(sample::Index),
    /// Time passes, and the sweep comes by.
    Expire {
        seconds: u64,
    },
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let order = any::<sample::Index>;
    prop_oneof![
        6 => (0..3_usize, 1..=2_u64, 1..=3_u32, 0..12_usize)
            .prop_map(|(user, product_id, quantity, key)| Event::Place { user, product_id, quantity, key }),
        3 => Just(Event::Settle),
        1 => order().prop_map(Event::Redeliver),
        2 => order().prop_map(Event::Pay),
        2 => order().prop_map(Event::Cancel),
        1 => (1..40_u64).prop_map(|seconds| Event::Expire { seconds }),
        1 => Just(Event::Restart),
    ]
}

#[derive(Debug, Clone)]
struct ModelOrder {
    new: NewOrder,
    state: OrderState,
    pay_by: u64,
}

/// What should happen, without transactions, queues and disks. Order n stands at index n - 1.
#[derive(Debug, Default)]
struct Model {
    orders: Vec<ModelOrder>,
    /// Units of product 1 taken; product 2 has more than anybody can take.
    taken: u64,
    unsettled: Vec<u64>,
    now: u64,
}

impl Model {
    fn place(&mut self, new: NewOrder) -> Result<u64, ShopError> {
        if let Some(at) = self.orders.iter().position(|order| order.new.key == new.key) {
            return if self.orders[at].new == new { Ok(at as u64 + 1) } else { Err(ShopError::KeyReused) };
        }
        if new.product_id == 1 && self.taken == UNITS {
            return Err(ShopError::SoldOut(1));
        }
        let live = [OrderState::Pending, OrderState::Confirmed, OrderState::Paid];
        let same = |order: &&ModelOrder| {
            (order.new.user_id, order.new.product_id) == (new.user_id, new.product_id)
                && live.contains(&order.state)
        };
        let held: u32 = self.orders.iter().filter(same).map(|order| order.new.quantity).sum();
        if held + new.quantity > LIMIT {
            return Err(ShopError::UserLimit { limit: LIMIT });
        }
        self.orders.push(ModelOrder { new, state: OrderState::Pending, pay_by: 0 });
        self.unsettled.push(self.orders.len() as u64);
        Ok(self.orders.len() as u64)
    }

    fn settle(&mut self) {
        for id in std::mem::take(&mut self.unsettled) {
            let order = &mut self.orders[id as usize - 1];
            if order.state != OrderState::Pending {
                continue;
            }
            let units = u64::from(order.new.quantity);
            if order.new.product_id == 1 && self.taken + units > UNITS {
                order.state = OrderState::Rejected;
                continue;
            }
            order.state = OrderState::Confirmed;
            order.pay_by = self.now + 30;
            if order.new.product_id == 1 {
                self.taken += units;
            }
        }
    }

    fn release(&mut self, id: u64, into: OrderState) {
        let order = &mut self.orders[id as usize - 1];
        if order.new.product_id == 1 {
            self.taken -= u64::from(order.new.quantity);
        }
        order.state = into;
    }

    fn pay(&mut self, id: u64) -> Result<OrderState, OrderState> {
        let order = &mut self.orders[id as usize - 1];
        if order.state == OrderState::Confirmed {
            if self.now < order.pay_by {
                order.state = OrderState::Paid;
            } else {
                self.release(id, OrderState::Expired);
            }
        }
        self.reached(id, OrderState::Paid)
    }

    fn cancel(&mut self, id: u64) -> Result<OrderState, OrderState> {
        match self.orders[id as usize - 1].state {
            OrderState::Pending => self.orders[id as usize - 1].state = OrderState::Cancelled,
            OrderState::Confirmed => self.release(id, OrderState::Cancelled),
            OrderState::Paid | OrderState::Rejected | OrderState::Cancelled | OrderState::Expired => {}
        }
        self.reached(id, OrderState::Cancelled)
    }

    fn reached(&self, id: u64, wanted: OrderState) -> Result<OrderState, OrderState> {
        let state = self.orders[id as usize - 1].state;
        if state == wanted { Ok(state) } else { Err(state) }
    }

    fn expire(&mut self, seconds: u64) {
        self.now += seconds;
        for id in 1..=self.orders.len() as u64 {
            let order = &self.orders[id as usize - 1];
            if order.state == OrderState::Confirmed && order.pay_by <= self.now {
                self.release(id, OrderState::Expired);
            }
        }
    }

    fn pick(&self, order: sample::Index) -> Option<u64> {
        (!self.orders.is_empty()).then(|| order.index(self.orders.len()) as u64 + 1)
    }
}

fn reached(outcome: Result<Order, ShopError>) -> Result<OrderState, OrderState> {
    match outcome {
        Ok(order) => Ok(order.state),
        Err(ShopError::WrongState { state, .. }) => Err(state),
        Err(other) => panic!("{other}"),
    }
}

/// Lets one event happen in both worlds and compares the answers.
fn happen(sale: Sale, model: &mut Model, history: &mut History, users: &[u64], event: Event) -> Sale {
    match event {
        Event::Place { user, product_id, quantity, key } => {
            let new = NewOrder { user_id: users[user], product_id, quantity, key: format!("key-{key}") };
            let outcome = block_on(sale.shop.place(new.clone())).map(|placed| placed.order_id);
            assert_eq!(outcome, model.place(new.clone()));
            if let Ok(order_id) = outcome {
                history.operations.push(created(&new, order_id));
            }
        }
        Event::Settle => {
            sale.settle();
            model.settle();
        }
        Event::Redeliver(order) => {
            if let Some(id) = model.pick(order).filter(|id| !model.unsettled.contains(id)) {
                redeliver(&sale.shop.0, id);
            }
        }
        Event::Pay(order) => {
            if let Some(id) = model.pick(order) {
                assert_eq!(reached(block_on(sale.shop.pay(id))), model.pay(id));
            }
        }
        Event::Cancel(order) => {
            if let Some(id) = model.pick(order) {
                assert_eq!(reached(block_on(sale.shop.cancel(id))), model.cancel(id));
            }
        }
        Event::Expire { seconds } => {
            sale.clock.advance(Duration::from_secs(seconds));
            sale.shop.expire_overdue(1_000).unwrap();
            model.expire(seconds);
        }
        Event::Restart => return sale.restart(),
    }
    sale
}

fn created(new: &NewOrder, order_id: u64) -> Operation {
    Operation {
        kind: Kind::Create,
        user_id: new.user_id,
        product_id: new.product_id,
        quantity: new.quantity,
        key: new.key.clone(),
        order_id: None,
        invoked_us: 0,
        finished_us: 0,
        answer: Answer::Ok { order_id, state: OrderState::Pending },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_shop_does_what_the_model_does(events in collection::vec(event(), 1..60)) {
        let mut sale = Sale::new(UNITS, Box::new(Careful), |config| config.per_user_limit = LIMIT);
        let users: Vec<u64> = (0..3).map(|_| sale.user()).collect();
        let (mut model, mut history) = (Model::default(), History::default());
        let end = [Event::Settle, Event::Expire { seconds: 100 }];
        for event in events.into_iter().chain(end) {
            sale = happen(sale, &mut model, &mut history, &users, event);
            prop_assert_eq!(sale.left(1), UNITS - model.taken);
        }
        for (at, order) in model.orders.iter().enumerate() {
            prop_assert_eq!(sale.state(at as u64 + 1), order.state);
        }
        let database = sale.shop.0.db.read_blocking(Database::read_all).unwrap();
        let report = check(&history, &database, &Rules { per_user_limit: LIMIT.into() });
        prop_assert!(report.pass(), "{:#?}", report);
    }
}

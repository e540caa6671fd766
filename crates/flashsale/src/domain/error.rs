//! Why the shop refuses. Facts only; their status codes are chosen in `api/errors.rs`.

use std::{error, fmt};

use seawall::data::queue::QueueError;
use seawall::data::sql::SqlError;

use crate::state::OrderState;

/// Why the shop did not do what it was asked.
#[derive(Debug, Clone, PartialEq)]
pub enum ShopError {
    /// There is no such product.
    UnknownProduct(u64),
    /// There is no such user.
    UnknownUser(u64),
    /// There is no such order.
    UnknownOrder(u64),
    /// The sale of the product has not begun.
    NotStarted {
        /// Until it does, in milliseconds.
        in_ms: u64,
    },
    /// No unit is left.
    SoldOut(u64),
    /// The user would hold more units of the product than allowed.
    UserLimit {
        /// Units that one user may hold.
        limit: u32,
    },
    /// The idempotency key was used for another order.
    KeyReused,
    /// The order is in a state that does not allow this.
    WrongState {
        /// The order.
        order_id: u64,
        /// Its state.
        state: OrderState,
        /// What was asked for: `paid`, `cancelled`.
        wanted: OrderState,
    },
    /// The queue between orders and stock is full.
    QueueFull,
    /// The database.
    Data(SqlError),
}

impl fmt::Display for ShopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownProduct(id) => write!(f, "there is no product {id}"),
            Self::UnknownUser(id) => write!(f, "there is no user {id}"),
            Self::UnknownOrder(id) => write!(f, "there is no order {id}"),
            Self::NotStarted { in_ms } => write!(f, "the sale begins in {} s", in_ms.div_ceil(1_000)),
            Self::SoldOut(id) => write!(f, "product {id} is sold out"),
            Self::UserLimit { limit } => write!(f, "one user may hold at most {limit} of this product"),
            Self::KeyReused => write!(f, "this idempotency key was used for another order"),
            Self::WrongState { order_id, state, wanted } => {
                write!(f, "order {order_id} is {}, so it cannot be {}", state.name(), wanted.name())
            }
            Self::QueueFull => write!(f, "too many orders wait for their turn"),
            Self::Data(error) => error.fmt(f),
        }
    }
}

impl error::Error for ShopError {}

impl From<SqlError> for ShopError {
    fn from(error: SqlError) -> Self {
        Self::Data(error)
    }
}

impl From<QueueError> for ShopError {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Full { .. } => Self::QueueFull,
            QueueError::Sql(error) => Self::Data(error),
            lost @ QueueError::LeaseLost { .. } => {
                Self::Data(SqlError::Database { code: 0, message: lost.to_string() })
            }
        }
    }
}

//! The one place where the shop's refusals get their status.

use std::time::Duration;

use seawall::data::sql::SqlError;
use seawall::prelude::*;

use crate::domain::ShopError;

/// When a client should come back after the service had no room.
const COME_BACK: Duration = Duration::from_secs(1);

/// The answer to a refusal. No default arm: a new refusal has to choose.
pub(super) fn status(error: &ShopError) -> Error {
    let text = error.to_string();
    match error {
        ShopError::UnknownProduct(_) => Error::not_found(text).code("unknown_product"),
        ShopError::UnknownUser(_) => Error::not_found(text).code("unknown_user"),
        ShopError::UnknownOrder(_) => Error::not_found(text).code("unknown_order"),
        ShopError::NotStarted { in_ms } => {
            Error::conflict(text).code("not_started").retry_after(Duration::from_millis(*in_ms))
        }
        ShopError::SoldOut(_) => Error::conflict(text).code("sold_out"),
        ShopError::UserLimit { .. } => Error::conflict(text).code("user_limit"),
        ShopError::KeyReused => Error::invalid(text).code("key_reused"),
        ShopError::WrongState { .. } => Error::conflict(text).code("wrong_state"),
        ShopError::QueueFull | ShopError::Data(SqlError::Full { .. } | SqlError::Commit { .. }) => {
            Error::unavailable("too many orders at once, please try again")
                .code("overloaded")
                .retry_after(COME_BACK)
        }
        ShopError::Data(SqlError::OutOfRange { value }) => {
            Error::not_found(format!("there is nothing with the number {value}")).code("unknown_number")
        }
        ShopError::Data(SqlError::Closed) => {
            Error::unavailable("the service is shutting down").code("closing").retry_after(COME_BACK)
        }
        ShopError::Data(
            SqlError::Panicked
            | SqlError::Constraint { .. }
            | SqlError::Column { .. }
            | SqlError::TooManyRows { .. }
            | SqlError::Database { .. },
        ) => Error::internal(error.clone()),
    }
}

/// The refusal of a value: names the field, what it is, and what it may be.
pub(super) fn bad_field(
    field: &'static str,
    value: impl std::fmt::Display,
    allowed: impl std::fmt::Display,
) -> Error {
    Error::invalid("the request holds a value that is not allowed")
        .field(field, format!("is {value}, but must be {allowed}"))
}

/// A number that the database can hold, from 1.
pub(super) fn number(field: &'static str, value: u64) -> Result<u64> {
    const LARGEST: u64 = i64::MAX as u64;
    if (1..=LARGEST).contains(&value) {
        return Ok(value);
    }
    Err(bad_field(field, value, format_args!("1 to {LARGEST}")))
}

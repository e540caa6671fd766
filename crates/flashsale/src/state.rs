//! The states of an order: the one word list that service, checker and clients share.

use seawall::openapi::{ToSchema, utoipa};
use serde::{Deserialize, Serialize};

/// The states of an order.
///
/// `pending` becomes `confirmed` or `rejected`; `confirmed` becomes `paid`, `cancelled` or `expired`; `pending` may
/// also become `cancelled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// Acknowledged; the stock has not been asked yet.
    Pending,
    /// The stock was deducted; waits for the payment.
    Confirmed,
    /// There was no stock for it. Final.
    Rejected,
    /// Paid. Final.
    Paid,
    /// Cancelled by the buyer; what was deducted was released. Final.
    Cancelled,
    /// Not paid in time; what was deducted was released. Final.
    Expired,
}

impl OrderState {
    /// All states, in the order of an order's life.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Confirmed, Self::Rejected, Self::Paid, Self::Cancelled, Self::Expired];

    /// The name in JSON and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Nothing follows this state.
    pub fn is_final(self) -> bool {
        match self {
            Self::Pending | Self::Confirmed => false,
            Self::Rejected | Self::Paid | Self::Cancelled | Self::Expired => true,
        }
    }

    /// An order in this state holds units of the stock.
    pub fn holds_stock(self) -> bool {
        match self {
            Self::Confirmed | Self::Paid => true,
            Self::Pending | Self::Rejected | Self::Cancelled | Self::Expired => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OrderState;

    #[test]
    fn every_state_has_its_own_name() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::parse(state.name()), Some(state));
        }
    }
}

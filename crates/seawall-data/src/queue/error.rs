//! What can go wrong with a queue.

use seawall_core::Class;

use crate::sql::SqlError;

/// Why a message was not taken in, claimed or acknowledged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueueError {
    /// The queue holds as many messages as it may. Nothing was emitted; worth a retry later.
    #[error("the queue {queue} is full: {max_depth} messages")]
    Full {
        /// Its name.
        queue: String,
        /// The bound.
        max_depth: u64,
    },
    /// The lease ran out and the message went to somebody else (or is dead): the work must not be committed.
    #[error("the lease of message {msg_id} in the queue {queue} is lost")]
    LeaseLost {
        /// The queue's name.
        queue: String,
        /// The message.
        msg_id: String,
    },
    /// The database.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl QueueError {
    /// How a caller should react.
    pub fn class(&self) -> Class {
        match self {
            Self::Full { .. } => Class::Transient,
            Self::LeaseLost { .. } => Class::Permanent,
            Self::Sql(error) => error.class(),
        }
    }
}

//! What the clients saw: one [`Operation`] per request, in a [`History`].
//!
//! A load generator writes these while it runs, one JSON object per line; the checker reads them afterwards and
//! compares them with the database. The types hold facts only and judge nothing.
//!
//! Left out: the clients' own retries are not folded together. Each attempt is an operation of its own, and attempts
//! that share an idempotency key belong to one order.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

pub use crate::state::OrderState;

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `POST /api/v1/orders`.
    Create,
    /// `POST /api/v1/orders/:id/pay`.
    Pay,
    /// `POST /api/v1/orders/:id/cancel`.
    Cancel,
    /// `GET /api/v1/orders/:id`.
    Status,
}

/// What a client got to know about its request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Answer {
    /// A 2xx answer: the service vouches for it.
    Ok {
        /// `order_id` of the answer.
        order_id: u64,
        /// `state` of the answer.
        state: OrderState,
    },
    /// Any other complete answer.
    Refused {
        /// The HTTP status.
        status: u16,
        /// `code` of the answer's JSON (`sold_out`, `user_limit`, ...), if there is one.
        code: Option<String>,
    },
    /// No complete answer: connection refused or cut, timeout. The request may or may not have taken effect.
    Unknown,
}

/// One request of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// What was asked.
    pub kind: Kind,
    /// The buyer.
    pub user_id: u64,
    /// The product of the order.
    pub product_id: u64,
    /// The units of the order.
    pub quantity: u32,
    /// The `Idempotency-Key` of the order; for pay, cancel and status the key under which the order was created.
    pub key: String,
    /// The order that was asked about; `None` for [`Kind::Create`].
    pub order_id: Option<u64>,
    /// When the request was sent, in microseconds since the history began.
    pub invoked_us: u64,
    /// When the answer was complete, or the client gave up; same unit.
    pub finished_us: u64,
    /// What came back.
    pub answer: Answer,
}

/// All operations of one run, in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The operations. As many as the run had requests; the writer bounds it by the length of the run.
    pub operations: Vec<Operation>,
}

impl History {
    /// Reads one JSON object per line; empty lines are skipped.
    ///
    /// # Errors
    /// What the reader says, and [`io::ErrorKind::InvalidData`] with the line's number for a line that is no
    /// operation.
    pub fn read(reader: impl BufRead) -> io::Result<Self> {
        let mut operations = Vec::new();
        for (index, line) in reader.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let operation = serde_json::from_str(&line).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {error}", index + 1))
            })?;
            operations.push(operation);
        }
        Ok(Self { operations })
    }

    /// Writes one JSON object per line.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        for operation in &self.operations {
            serde_json::to_writer(&mut writer, operation)?;
            writer.write_all(b"\n")?;
        }
        writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(answer: Answer) -> Operation {
        Operation {
            kind: Kind::Create,
            user_id: 7,
            product_id: 1,
            quantity: 2,
            key: "k-1".to_owned(),
            order_id: None,
            invoked_us: 10,
            finished_us: 20,
            answer,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let refused = Answer::Refused { status: 409, code: Some("sold_out".to_owned()) };
        let answers = [Answer::Ok { order_id: 3, state: OrderState::Pending }, refused, Answer::Unknown];
        let history = History { operations: answers.into_iter().map(operation).collect() };
        let mut lines = Vec::new();
        history.write(&mut lines).unwrap();
        assert_eq!(lines.iter().filter(|&&byte| byte == b'\n').count(), 3);
        assert_eq!(History::read(lines.as_slice()).unwrap(), history);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = History::read("\n{}\n".as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with("line 2: "), "{error}");
    }
}

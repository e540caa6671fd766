//! What is asked of Redis, and what it answers.

/// The script that answers; the only thing that Redis does for us.
pub(super) const SCRIPT: &str = include_str!("gcra.lua");

/// One question about one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) key: u64,
    /// Units that were given on trust since the last one: they are debited whatever is left.
    pub(super) trusted: u32,
    /// Units wanted on lease.
    pub(super) wanted: u32,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    /// Units leased, 0 to what was wanted.
    pub(super) leased: u32,
    /// Nanoseconds until it is worth asking again; 0 if all was leased.
    pub(super) wait: u64,
    /// Nanoseconds of debt of the key, this lease included.
    pub(super) debt: u64,
}

impl Answer {
    /// From the three numbers of the script; a negative one, which it never gives, counts as 0.
    pub(super) fn from_reply((leased, wait, debt): (i64, i64, i64)) -> Self {
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            leased: u32::try_from(whole(leased)).unwrap_or(u32::MAX),
            wait: whole(wait),
            debt: whole(debt),
        }
    }
}

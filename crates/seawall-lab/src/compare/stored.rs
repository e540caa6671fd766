//! A stored run as blocks: what `seawall load --json` writes, cut into pieces long enough not to depend on each other much.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Block, Metric};
use crate::stats::median;

/// Least blocks of a run that can be compared.
pub const MIN_BLOCKS: usize = 8;
/// Blocks that a run is cut into when it is long enough.
const BLOCKS: usize = 12;

/// Why a stored run cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// It is no result of `seawall load`.
    #[error("this is no result of `seawall load --json`: {0}")]
    Format(#[from] serde_json::Error),
    /// It is too short.
    #[error(
        "the run has {have} measured seconds, but at least {MIN_BLOCKS} are needed: make it longer (`-d 30s`)"
    )]
    TooShort {
        /// Measured seconds that it has.
        have: usize,
    },
}

/// The parts of the result that are used.
#[derive(Debug, Deserialize)]
struct LoadResult {
    validity: Validity,
    series: Vec<Second>,
}

#[derive(Debug, Deserialize)]
struct Validity {
    verdict: String,
    reasons: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Second {
    seconds: f64,
    warmup: bool,
    rps: f64,
    p50: f64,
    p99: f64,
    errors: u64,
}

/// Reads the result of one run.
///
/// # Errors
/// When it is something else, or too short.
pub fn from_load_json(text: &str) -> Result<Vec<Block>, StoredError> {
    let result: LoadResult = serde_json::from_str(text)?;
    // A row at the end that is shorter than half a second has too few values for a percentile.
    let rows: Vec<&Second> = result.series.iter().filter(|row| !row.warmup && row.seconds >= 0.5).collect();
    if rows.len() < MIN_BLOCKS {
        return Err(StoredError::TooShort { have: rows.len() });
    }
    let invalid = if result.validity.verdict == "invalid" { result.validity.reasons } else { Vec::new() };
    let each = (rows.len() / BLOCKS).max(1);
    Ok(rows.chunks_exact(each).map(|rows| block(rows, &invalid)).collect())
}

fn block(rows: &[&Second], invalid: &[String]) -> Block {
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    let answers: f64 = rows.iter().map(|row| row.rps * row.seconds).sum();
    let errors: u64 = rows.iter().map(|row| row.errors).sum();
    let middle = |of: fn(&Second) -> f64| median(&rows.iter().map(|row| of(row) / 1e3).collect::<Vec<_>>());
    let mut values = BTreeMap::from([
        (Metric::Throughput, answers / seconds),
        (Metric::ErrorRate, errors as f64 / answers.max(errors as f64).max(1.0)),
    ]);
    for (metric, ms) in [(Metric::P50, middle(|row| row.p50)), (Metric::P99, middle(|row| row.p99))] {
        if ms > 0.0 {
            values.insert(metric, ms);
        }
    }
    Block { values, invalid: invalid.to_vec(), ..Block::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(seconds: usize, verdict: &str) -> String {
        let rows: Vec<_> = (0..seconds)
            .map(|i| {
                serde_json::json!({"t": i, "seconds": 1.0, "warmup": i == 0, "rps": 100.0 + i as f64, "offered_rps": 1,
                    "sent_rps": 1, "p50": 1000.0, "p99": 5000.0, "errors": 1})
            })
            .collect();
        serde_json::json!({"validity": {"verdict": verdict, "reasons": ["late"]}, "series": rows}).to_string()
    }

    #[test]
    fn a_minute_becomes_a_dozen_blocks() {
        let blocks = from_load_json(&result(61, "valid")).unwrap();
        assert_eq!(blocks.len(), 12);
        assert_eq!(blocks[0].values[&Metric::Throughput], 103.0);
        assert_eq!(blocks[0].values[&Metric::P99], 5.0);
        assert!(blocks[0].invalid.is_empty() && !blocks[0].values.contains_key(&Metric::P999));
    }
    #[test]
    fn an_invalid_run_stays_one() {
        assert_eq!(from_load_json(&result(20, "invalid")).unwrap()[3].invalid, ["late"]);
    }
    #[test]
    fn a_short_run_is_refused_with_what_would_help() {
        let error = from_load_json(&result(5, "valid")).unwrap_err().to_string();
        assert!(error.contains("4 measured seconds") && error.contains("-d 30s"), "{error}");
    }
    #[test]
    fn anything_else_is_refused() {
        assert!(matches!(from_load_json("{}"), Err(StoredError::Format(_))));
    }
}

//! Times as people write them.

use std::time::Duration;

/// `500ms`, `10s`, `2m`, `1h`, `1.5s`; a number without a unit is in seconds.
///
/// # Errors
/// Says how a time is written.
///
/// ```
/// use std::time::Duration;
///
/// assert_eq!(seawall_load::parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
/// assert!(seawall_load::parse_duration("soon").is_err());
/// ```
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("`{text}` is no time: write a number and a unit, such as 500ms, 10s, 2m or 1h");
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(refuse()),
    };
    let number: f64 = number.parse().map_err(|_| refuse())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| refuse())
}

//! How a file says a duration: a number of seconds, whole or not (`max_age = 600`). For `#[serde(with = "seconds")]`.

use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer, de};

/// Reads a number of seconds.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(from)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| de::Error::custom(format_args!("{seconds} is no number of seconds from 0 to 1.8e19")))
}

/// Writes one.
pub(super) fn serialize<S: Serializer>(time: &Duration, into: S) -> Result<S::Ok, S::Error> {
    into.serialize_f64(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Config {
        #[serde(with = "super")]
        age: Duration,
    }

    fn read(text: &str) -> Option<Duration> {
        serde_json::from_str::<Config>(text).ok().map(|config| config.age)
    }

    #[test]
    fn seconds_may_be_whole_or_not() {
        assert_eq!(read(r#"{"age": 2}"#), Some(Duration::from_secs(2)));
        assert_eq!(read(r#"{"age": 0.25}"#), Some(Duration::from_millis(250)));
    }
    #[test]
    fn they_are_written_as_they_are_read() {
        let config = Config { age: Duration::from_millis(1_500) };
        assert_eq!(serde_json::to_string(&config).unwrap(), r#"{"age":1.5}"#);
    }
    #[test]
    fn what_is_no_duration_is_refused() {
        assert_eq!(read(r#"{"age": -1}"#), None);
        assert_eq!(read(r#"{"age": 1e300}"#), None);
        assert_eq!(read(r#"{"age": "1"}"#), None);
    }
}

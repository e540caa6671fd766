//! The configuration of the service, plain, and its check.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use seawall::core::ConfigError;

/// How the service runs.
#[derive(Debug, Clone)]
pub struct FlashsaleConfig {
    /// Where it serves; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Where metrics, health and signals are served; a loopback address. Port 0 takes a free one. Default
    /// `127.0.0.1:9090`.
    pub admin_listen: SocketAddr,
    /// Directory of the database, made if missing. Default `flashsale-data`.
    pub data_dir: PathBuf,
    /// Units of the hot product, 1 to 1,000,000,000. Counts only when the database is new. Default 1,000.
    pub units: u64,
    /// When the sale of the hot product begins, counted from the start. Counts only when the database is new.
    /// Default at once.
    pub sale_starts_in: Duration,
    /// How long a confirmed order may wait for its payment, 100 ms to 1 day; then its units are released. Default
    /// 30 s.
    pub pay_timeout: Duration,
    /// Units of one product that one user may hold, 1 to 1,000. Default 1.
    pub per_user_limit: u32,
    /// Threads that serve requests, 0 to 1,024; 0 takes one per core. Default 0.
    pub workers: usize,
    /// Threads that read the database, 1 to 64. Default 2.
    pub readers: usize,
    /// Each read takes so much longer on its reader, up to 100 ms, as if the database were on another machine: a file answers
    /// in some microseconds, and would hide what a pool that is too small costs elsewhere. For demonstrations. Default zero.
    pub database_away: Duration,
    /// Products and stock are kept in memory for a moment. Without it each page asks the database. Default true.
    pub cache: bool,
    /// The stock is deducted before the buyer is answered, with a commit of its own, instead of by the worker afterwards:
    /// how it is done before somebody measures. Default false.
    pub deduct_in_request: bool,
}

impl Default for FlashsaleConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8_080)),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9_090)),
            data_dir: PathBuf::from("flashsale-data"),
            units: 1_000,
            sale_starts_in: Duration::ZERO,
            pay_timeout: Duration::from_secs(30),
            per_user_limit: 1,
            workers: 0,
            readers: 2,
            database_away: Duration::ZERO,
            cache: true,
            deduct_in_request: false,
        }
    }
}

impl FlashsaleConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let within = |field, value: u64, min: u64, max: u64| {
            if (min..=max).contains(&value) {
                return Ok(());
            }
            Err(ConfigError::new(field, value, format_args!("{min} to {max}")))
        };
        within("units", self.units, 1, 1_000_000_000)?;
        within("per_user_limit", self.per_user_limit.into(), 1, 1_000)?;
        within("workers", self.workers as u64, 0, 1_024)?;
        within("readers", self.readers as u64, 1, 64)?;
        if self.database_away > Duration::from_millis(100) {
            let value = format_args!("{:?}", self.database_away);
            return Err(ConfigError::new("database_away", value, "at most 100ms"));
        }
        let (shortest, day) = (Duration::from_millis(100), Duration::from_secs(86_400));
        if !(shortest..=day).contains(&self.pay_timeout) {
            return Err(ConfigError::new(
                "pay_timeout",
                format_args!("{:?}", self.pay_timeout),
                "100ms to 1 day",
            ));
        }
        if self.sale_starts_in > 365 * day {
            let value = format_args!("{:?}", self.sale_starts_in);
            return Err(ConfigError::new("sale_starts_in", value, "at most 365 days"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: impl FnOnce(&mut FlashsaleConfig), message: &str) {
        let mut config = FlashsaleConfig::default();
        change(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn the_default_is_valid() {
        FlashsaleConfig::default().check().unwrap();
    }

    #[test]
    fn a_sale_of_nothing_is_refused() {
        check(|c| c.units = 0, "`units` is 0, but must be 1 to 1000000000");
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        check(|c| c.per_user_limit = 0, "`per_user_limit` is 0, but must be 1 to 1000");
    }

    #[test]
    fn a_database_without_readers_is_refused() {
        check(|c| c.readers = 0, "`readers` is 0, but must be 1 to 64");
    }

    #[test]
    fn a_database_too_far_away_is_refused() {
        check(
            |c| c.database_away = Duration::from_secs(1),
            "`database_away` is 1s, but must be at most 100ms",
        );
    }

    #[test]
    fn a_pay_timeout_without_end_is_refused() {
        check(
            |c| c.pay_timeout = Duration::from_secs(100_000),
            "`pay_timeout` is 100000s, but must be 100ms to 1 day",
        );
    }
}

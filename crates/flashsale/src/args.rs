//! The command line of the service, read plainly: `--name value`.

use std::time::Duration;

use crate::FlashsaleConfig;

/// What `flashsale --help` prints.
pub const HELP: &str = "\
The reference service of Seawall: a flash sale that neither oversells nor loses an order.

Usage: flashsale [OPTIONS]

  --listen ADDR           where to serve; port 0 takes a free one   [default: 127.0.0.1:8080]
  --admin-listen ADDR     metrics, health, signals (loopback)       [default: 127.0.0.1:9090]
  --data-dir DIR          directory of the database                 [default: flashsale-data]
  --units N               units of the hot product (new database)   [default: 1000]
  --sale-starts-in TIME   begin of its sale (new database)          [default: 0s]
  --pay-timeout TIME      time to pay a confirmed order             [default: 30s]
  --per-user-limit N      units of a product one user may hold      [default: 1]
  --workers N             threads that serve; 0 is one per core     [default: 0]
  --readers N             threads that read the database            [default: 2]
  --database-away TIME    each read takes so much longer, as if
                          the database were on another machine   [default: 0ms]
  --cache on|off          keep products and stock in memory         [default: on]
  --deduct queue|request  deduct the stock afterwards, or before
                          the buyer is answered                     [default: queue]
  -h, --help              this text

TIME is a number with a unit: 500ms, 30s, 5m.
";

/// Reads the arguments, without the program's name. `None` asks for the help.
///
/// # Errors
/// An option that is unknown, has no value, or one that cannot be read; says which.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Option<FlashsaleConfig>, String> {
    let mut config = FlashsaleConfig::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        if arg == "-h" || arg == "--help" {
            return Ok(None);
        }
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg, None),
        };
        let mut value = || {
            let given = value.clone().or_else(|| args.next());
            given.ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--listen" => config.listen = read(&name, &value()?, "an address such as 127.0.0.1:8080")?,
            "--admin-listen" => {
                config.admin_listen = read(&name, &value()?, "an address such as 127.0.0.1:9090")?;
            }
            "--data-dir" => config.data_dir = value()?.into(),
            "--units" => config.units = read(&name, &value()?, "a number")?,
            "--sale-starts-in" => config.sale_starts_in = time(&name, &value()?)?,
            "--pay-timeout" => config.pay_timeout = time(&name, &value()?)?,
            "--per-user-limit" => config.per_user_limit = read(&name, &value()?, "a number")?,
            "--workers" => config.workers = read(&name, &value()?, "a number")?,
            "--readers" => config.readers = read(&name, &value()?, "a number")?,
            "--database-away" => config.database_away = time(&name, &value()?)?,
            "--cache" => config.cache = one_of(&name, &value()?, ["off", "on"])?,
            "--deduct" => config.deduct_in_request = one_of(&name, &value()?, ["queue", "request"])?,
            _ => return Err(format!("there is no option {name}; try --help")),
        }
    }
    Ok(Some(config))
}

/// Whether the value is the second of two words.
fn one_of(name: &str, value: &str, words: [&str; 2]) -> Result<bool, String> {
    let at = words.iter().position(|word| *word == value);
    at.map(|at| at == 1).ok_or_else(|| format!("{name} is {value}, but must be {} or {}", words[0], words[1]))
}

fn read<T: std::str::FromStr>(name: &str, value: &str, wanted: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name} is {value}, but must be {wanted}"))
}

fn time(name: &str, value: &str) -> Result<Duration, String> {
    let refuse = || format!("{name} is {value}, but must be a time such as 500ms, 30s or 5m");
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at(digits);
    let number: u64 = number.parse().map_err(|_| refuse())?;
    let millis = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        _ => None,
    };
    millis.map(Duration::from_millis).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(line: &str) -> Result<Option<FlashsaleConfig>, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[track_caller]
    fn refused(line: &str, message: &str) {
        assert_eq!(from(line).unwrap_err(), message);
    }

    #[test]
    fn every_option_is_read() {
        let line = "--listen 127.0.0.1:1 --admin-listen=127.0.0.1:2 --data-dir d --units 7 --sale-starts-in 5m \
                    --pay-timeout 500ms --per-user-limit 3 --workers 2 --readers 5 --database-away 1ms --cache off \
                    --deduct request";
        let config = from(line).unwrap().unwrap();
        assert_eq!((config.listen.port(), config.admin_listen.port(), config.units), (1, 2, 7));
        assert_eq!(config.data_dir.to_str(), Some("d"));
        assert_eq!(config.database_away, Duration::from_millis(1));
        let times = (config.sale_starts_in, config.pay_timeout);
        assert_eq!(times, (Duration::from_secs(300), Duration::from_millis(500)));
        assert_eq!((config.per_user_limit, config.workers, config.readers), (3, 2, 5));
        assert_eq!((config.cache, config.deduct_in_request), (false, true));
    }

    #[test]
    fn help_is_asked_for() {
        assert!(from("--units 3 --help").unwrap().is_none());
    }

    #[test]
    fn an_unknown_option_is_named() {
        refused("--break-it", "there is no option --break-it; try --help");
    }

    #[test]
    fn a_missing_value_is_named() {
        refused("--units", "--units needs a value");
    }

    #[test]
    fn a_time_without_a_unit_is_refused() {
        refused("--pay-timeout 30", "--pay-timeout is 30, but must be a time such as 500ms, 30s or 5m");
    }

    #[test]
    fn a_word_that_is_neither_is_refused() {
        refused("--cache maybe", "--cache is maybe, but must be off or on");
    }

    #[test]
    fn a_number_that_is_none_is_refused() {
        refused("--units many", "--units is many, but must be a number");
    }
}

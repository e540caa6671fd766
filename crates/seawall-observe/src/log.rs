//! The log: text on standard error, one line per event.
//!
//! Writing is synchronous, so that the last line before a crash is there. A service that logs every request on a
//! slow terminal waits for the terminal: the access log is off by default for that reason.

use std::io::IsTerminal as _;

use seawall_core::ConfigError;
use tracing_subscriber::EnvFilter;

/// The variable that overrides [`LogConfig::level`].
const VARIABLE: &str = "SEAWALL_LOG";

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace` or `off`, for all or per module (`info,seawall_http=debug`).
    /// Default `info`. The environment variable `SEAWALL_LOG` overrides it.
    pub level: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned() }
    }
}

/// Why logging could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The level, or the variable in its place, means nothing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The process logs already: there is one log per process, and the first caller sets it up.
    #[error("logging is set up already")]
    AlreadySet,
}

/// Sets up the process's log. Call it once, first thing in `main`. Colours are used on a terminal only.
///
/// # Errors
/// [`LogError`].
pub fn init_logging(config: &LogConfig) -> Result<(), LogError> {
    let variable = std::env::var(VARIABLE).ok().filter(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(config, variable.as_deref())?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    builder.try_init().map_err(|_| LogError::AlreadySet)
}

fn filter(config: &LogConfig, variable: Option<&str>) -> Result<EnvFilter, ConfigError> {
    let (field, level) = match variable {
        Some(value) => (VARIABLE, value),
        None => ("log.level", config.level.as_str()),
    };
    let allowed = "error, warn, info, debug, trace or off, alone or as `module=level`, separated by commas";
    // The parser reads a lone word as a module's name: `inof` would log everything of a module called inof.
    let lone = level.split(',').map(str::trim).find(|part| !part.contains('=') && !is_level(part));
    match (lone, EnvFilter::try_new(level)) {
        (None, Ok(filter)) => Ok(filter),
        (Some(_), _) | (None, Err(_)) => Err(ConfigError::new(field, level, allowed)),
    }
}

fn is_level(word: &str) -> bool {
    ["error", "warn", "info", "debug", "trace", "off"].iter().any(|level| word.eq_ignore_ascii_case(level))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which filter a level and the variable make.
    #[track_caller]
    fn check(level: &str, variable: Option<&str>, expected: &str) {
        let config = LogConfig { level: level.to_owned() };
        assert_eq!(filter(&config, variable).unwrap().to_string(), expected);
    }

    /// Checks that they are refused, and with which field.
    #[track_caller]
    fn check_refused(level: &str, variable: Option<&str>, field: &str) {
        let config = LogConfig { level: level.to_owned() };
        assert_eq!(filter(&config, variable).unwrap_err().field(), field);
    }

    #[test]
    fn the_level_may_be_for_all_or_per_module() {
        check("warn", None, "warn");
        check("seawall_http=debug", None, "seawall_http=debug");
    }
    #[test]
    fn the_variable_overrides_the_configuration() {
        check("warn", Some("trace"), "trace");
    }
    #[test]
    fn a_misspelt_level_is_refused() {
        check_refused("inof", None, "log.level");
        check_refused("info,seawall_http=loud", None, "log.level");
        check_refused("info", Some("verbose"), "SEAWALL_LOG");
    }
}

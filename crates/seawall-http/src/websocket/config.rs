//! Limits and timeouts of a WebSocket: plain data, checked when it is used.

use std::time::Duration;

use seawall_core::ConfigError;
use serde::Deserialize;

/// Limits and timeouts of a WebSocket. One holds at most `2 * queue + 2` messages of the client's size limit and yours.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WsConfig {
    /// Bytes of a message from the client, all its frames together; more closes with 1009. 1 byte to 1 GiB. Default
    /// 1 MiB.
    pub max_message: usize,
    /// Bytes of one frame of it. 1 byte to 1 GiB. Default 1 MiB.
    pub max_frame: usize,
    /// Messages that may wait, in each direction. When as many wait for the client, `send` waits; when as many wait
    /// for you, nothing more is read. 1 to 1024. Default 8.
    pub queue: usize,
    /// A client that is silent for so long is pinged; zero never pings. Default 20 s.
    pub ping_interval: Duration,
    /// How long it may then stay silent before it counts as lost. More than zero. Default 20 s.
    pub pong_timeout: Duration,
    /// How long the client may leave a message untaken. More than zero. Default 30 s.
    pub write_timeout: Duration,
    /// A socket without a message, either way, for so long is closed with 1001. More than zero. Default none: a client
    /// that answers pings may stay.
    pub idle_timeout: Option<Duration>,
    /// How long the client may take to answer a close frame; and as long again may your future take to end once the
    /// socket is closed, before it is dropped. More than zero. Default 10 s.
    pub close_timeout: Duration,
}

impl Default for WsConfig {
    fn default() -> Self {
        Self {
            max_message: 1 << 20,
            max_frame: 1 << 20,
            queue: 8,
            ping_interval: Duration::from_secs(20),
            pong_timeout: Duration::from_secs(20),
            write_timeout: Duration::from_secs(30),
            idle_timeout: None,
            close_timeout: Duration::from_secs(10),
        }
    }
}

impl WsConfig {
    /// The first field that cannot be used.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let Self {
            max_message,
            max_frame,
            queue,
            ping_interval: _,
            pong_timeout,
            write_timeout,
            idle_timeout,
            close_timeout,
        } = self;
        within("websocket.max_message", *max_message, 1 << 30)?;
        within("websocket.max_frame", *max_frame, 1 << 30)?;
        within("websocket.queue", *queue, 1024)?;
        let idle_timeout = idle_timeout.unwrap_or(Duration::MAX);
        let timeouts = [
            ("websocket.pong_timeout", *pong_timeout),
            ("websocket.write_timeout", *write_timeout),
            ("websocket.idle_timeout", idle_timeout),
            ("websocket.close_timeout", *close_timeout),
        ];
        match timeouts.iter().find(|(_, timeout)| timeout.is_zero()) {
            Some(&(field, _)) => Err(ConfigError::new(field, "0s", "more than zero")),
            None => Ok(()),
        }
    }
}

fn within(field: &'static str, value: usize, max: usize) -> Result<(), ConfigError> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(field, value, format_args!("1 to {max}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(WsConfig::default().check(), Ok(()));
    }
    #[test]
    fn a_bad_value_is_named_with_its_range() {
        let problem = |config: WsConfig| config.check().unwrap_err().to_string();
        let config = WsConfig { queue: 0, ..WsConfig::default() };
        assert_eq!(problem(config), "`websocket.queue` is 0, but must be 1 to 1024");
        let config = WsConfig { idle_timeout: Some(Duration::ZERO), ..WsConfig::default() };
        assert_eq!(problem(config), "`websocket.idle_timeout` is 0s, but must be more than zero");
    }
}

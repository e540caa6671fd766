//! Why a WebSocket is closed: a code and a reason (RFC 6455, 7.4).

use std::borrow::Cow;
use std::fmt;

use seawall_core::ConfigError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// Bytes of a reason: a control frame has 125, and the code takes two.
const LONGEST_REASON: usize = 123;

/// Why a WebSocket is closed, as a number that may stand in a close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: all is done.
    pub const NORMAL: Self = Self(1000);
    /// 1001: one side goes away, a server that stops or a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the other side breaks the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a message of a kind that is not taken here.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: a text that is not UTF-8, or a message that is not what its kind says.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a message that is not allowed, where no other code fits.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message that is too large.
    pub const TOO_LARGE: Self = Self(1009);
    /// 1011: the server failed.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts; come back in a while.
    pub const RESTART: Self = Self(1012);
    /// 1013: the server has too much to do; come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// A code by its number; 4000 to 4999 are yours.
    ///
    /// # Errors
    /// For a number that may not stand in a frame, such as 1005 ("there was none") and 1006 ("there was no frame").
    pub fn new(number: u16) -> Result<Self, ConfigError> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(number)),
            _ => Err(ConfigError::new("close code", number, "1000 to 1003, 1007 to 1014 or 3000 to 4999")),
        }
    }
    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A close frame: a code, and a reason for people who read logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    code: CloseCode,
    reason: Cow<'static, str>,
}

impl Close {
    /// With a reason, which is cut to the 123 bytes that a frame has room for.
    pub fn new(code: CloseCode, reason: impl Into<Cow<'static, str>>) -> Self {
        let mut reason = reason.into();
        if reason.len() > LONGEST_REASON {
            let end = reason.floor_char_boundary(LONGEST_REASON);
            reason.to_mut().truncate(end);
        }
        Self { code, reason }
    }
    /// Without a reason.
    pub const fn plain(code: CloseCode) -> Self {
        Self { code, reason: Cow::Borrowed("") }
    }
    /// The code.
    pub fn code(&self) -> CloseCode {
        self.code
    }
    /// The reason; often empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(super) fn into_frame(self) -> CloseFrame {
        let reason = match self.reason {
            Cow::Borrowed(reason) => reason.into(),
            Cow::Owned(reason) => reason.into(),
        };
        CloseFrame { code: self.code.0.into(), reason }
    }
    /// What the client sent; its codes were checked when the frame was read.
    pub(super) fn of_frame(frame: &CloseFrame) -> Self {
        Self { code: CloseCode(frame.code.into()), reason: frame.reason.as_str().to_owned().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_may_not_be_sent_are_no_codes() {
        for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, u16::MAX] {
            assert!(CloseCode::new(number).is_err(), "{number}");
        }
        for number in [1000, 1003, 1007, 1014, 3000, 4999] {
            assert_eq!(CloseCode::new(number).unwrap().number(), number);
        }
    }
    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let close = Close::new(CloseCode::NORMAL, "é".repeat(100));
        assert_eq!(close.reason(), "é".repeat(61));
        assert_eq!(Close::new(CloseCode::NORMAL, "done").reason(), "done");
    }
}

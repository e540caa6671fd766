//! When to ping a client, and when to give it up. Pure: the time is an argument.

use std::time::{Duration, Instant};

use super::WsConfig;

/// What is known of a client's life.
#[derive(Debug)]
pub(super) struct Keepalive {
    ping_interval: Option<Duration>,
    pong_timeout: Duration,
    write_timeout: Duration,
    idle_timeout: Option<Duration>,
    heard: Instant,
    pinged: Option<Instant>,
    message: Instant,
    /// Since when a write has been under way.
    writing: Option<Instant>,
    /// Nobody takes what has come, so nothing is read, and silence says nothing.
    deaf: bool,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing, before this time. What happens meanwhile only puts things off, but for a write that begins: so nobody
    /// waits longer than one may last.
    Wait(Instant),
    Ping,
    /// The client did not answer.
    Silent,
    /// The client does not read.
    Stalled,
    /// No messages for too long.
    Idle,
}

impl Keepalive {
    pub(super) fn new(config: &WsConfig, now: Instant) -> Self {
        Self {
            ping_interval: Some(config.ping_interval).filter(|interval| !interval.is_zero()),
            pong_timeout: config.pong_timeout,
            write_timeout: config.write_timeout,
            idle_timeout: config.idle_timeout,
            heard: now,
            pinged: None,
            message: now,
            writing: None,
            deaf: false,
        }
    }

    /// Something was read, a pong or anything else.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }
    /// A message came or went.
    pub(super) fn message(&mut self, now: Instant) {
        self.message = now;
    }
    /// Whether reading is suspended.
    pub(super) fn deaf(&mut self, deaf: bool, now: Instant) {
        self.deaf = deaf;
        self.heard(now);
    }
    /// A write begins.
    pub(super) fn writes(&mut self, now: Instant) {
        self.writing = Some(now);
    }
    /// The socket has taken all of it. A message counts as one that went.
    pub(super) fn written(&mut self, message: bool, now: Instant) {
        self.writing = None;
        if message {
            self.message = now;
        }
    }

    /// What to do now; a ping is noted as sent.
    pub(super) fn act(&mut self, now: Instant) -> Action {
        let stalled = self.writing.map(|since| since + self.write_timeout);
        let idle = self.idle_timeout.map(|timeout| self.message + timeout);
        let silent = self.pinged.map(|at| at + self.pong_timeout);
        let ping = self.ping_interval.filter(|_| self.pinged.is_none()).map(|interval| self.heard + interval);
        let (silent, ping) = if self.deaf { (None, None) } else { (silent, ping) };
        let reached = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        match () {
            () if reached(stalled) => Action::Stalled,
            () if reached(silent) => Action::Silent,
            () if reached(idle) => Action::Idle,
            () if reached(ping) => {
                self.pinged = Some(now);
                Action::Ping
            }
            () => {
                let next = [stalled, silent, idle, ping].into_iter().flatten().min();
                let longest = now + self.write_timeout;
                Action::Wait(next.map_or(longest, |next| next.min(longest)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ping after 3 s, give up 2 s later, at most 4 s for a write; 10 s without messages. Each character is an event
    /// followed by one second: `.` nothing, `h` heard, `m` a message (which is heard), `w` a write begins, `W` it ends,
    /// `d` deaf, `D` no more. What was done, by the same clock: `p`ing, `S`ilent, s`T`alled, `I`dle, `.` nothing.
    fn run(events: &str) -> String {
        let config = WsConfig {
            ping_interval: Duration::from_secs(3),
            pong_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(4),
            idle_timeout: Some(Duration::from_secs(10)),
            ..WsConfig::default()
        };
        let mut now = crate::clock::now();
        let mut keepalive = Keepalive::new(&config, now);
        let mut done = String::new();
        for event in events.chars() {
            match event {
                'h' => keepalive.heard(now),
                'm' => {
                    keepalive.heard(now);
                    keepalive.message(now);
                }
                'w' => keepalive.writes(now),
                'W' => keepalive.written(true, now),
                'd' | 'D' => keepalive.deaf(event == 'd', now),
                _ => {}
            }
            now += Duration::from_secs(1);
            done.push(match keepalive.act(now) {
                Action::Wait(next) => {
                    assert!(next > now, "it would never sleep");
                    '.'
                }
                Action::Ping => 'p',
                Action::Silent => 'S',
                Action::Stalled => 'T',
                Action::Idle => 'I',
            });
        }
        done
    }

    #[track_caller]
    fn check(events: &str, expected: &str) {
        assert_eq!(run(events), expected, "{events}");
    }

    #[test]
    fn a_silent_client_is_pinged_once_and_given_up() {
        check(".....", "..p.S");
    }
    #[test]
    fn a_pong_starts_anew() {
        check("...h.....", "..p..p.SS");
    }
    #[test]
    fn who_speaks_is_not_pinged() {
        check("m.m.m.m.", "........");
    }
    #[test]
    fn pongs_do_not_count_as_messages() {
        check("h.h.h.h.h.h", ".........II");
    }
    #[test]
    fn a_write_may_not_last_for_ever() {
        check("wh.h.", "...TT");
        check("whWh.h", "......");
    }
    #[test]
    fn who_cannot_be_heard_is_not_given_up() {
        check("d.....D..", "........p");
        check("..d...", "......");
    }
}

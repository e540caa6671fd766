//! The cases: what is asked, of which servers, and what the right answer is.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What `GET /` and `GET /users/42` answer.
const HELLO: &str = r#"{"message":"Hello from Seawall!"}"#;
const GREETING: &str = r#"{"message":"Hello, 42!"}"#;
/// The page that the CORS middleware of all servers lets read its answers.
const ORIGIN: &str = "Origin: https://app.example.com";
/// Resources of the table of 1,000 routes; each has five routes.
const RESOURCES: usize = 200;
/// The one that is asked for, in the middle: a router that looks at one route after the other finds it half-way.
const USERS: usize = RESOURCES / 2;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Case {
    /// `GET /`, with three routes.
    Hello,
    /// `GET /users/42`, with three routes.
    Param,
    /// The same, with 1,000 routes.
    Routes1000,
    /// The same, with request id, access log to /dev/null, recovery, CORS and a timeout around it.
    Middleware5,
    /// `GET /`, sixteen requests on a connection at once.
    Pipelined,
    /// 20,000 keep-alive connections that were used once; then one more request on each.
    Idle,
    /// 10,000 WebSockets; then a message on each, which comes back.
    Websockets,
}

/// A server that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    Seawall,
    /// Another build of ours, given as a program.
    #[value(skip)]
    SeawallBefore,
    Hyper,
    Axum,
    ActixWeb,
    Ntex,
    XitcaWeb,
    Salvo,
    #[value(name = "may_minihttp")]
    #[serde(rename = "may_minihttp")]
    MayMinihttp,
    Echo,
    Nginx,
}

/// What is served; the name is an argument of every server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum App {
    Hello,
    Thousand,
    Middleware,
}

/// A request, and its right answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) path: &'static str,
    pub(super) headers: &'static [&'static str],
    pub(super) body: &'static str,
    /// Fields that the answer must have, beside its content type.
    pub(super) fields: &'static [&'static str],
}

impl Case {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Param => "param",
            Self::Routes1000 => "routes1000",
            Self::Middleware5 => "middleware5",
            Self::Pipelined => "pipelined",
            Self::Idle => "idle",
            Self::Websockets => "websockets",
        }
    }

    /// In a heading.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Hello => "`GET /`, three routes",
            Self::Param => "`GET /users/42`, three routes",
            Self::Routes1000 => "`GET /users/42`, 1,000 routes",
            Self::Middleware5 => "`GET /users/42` with five middlewares",
            Self::Pipelined => "`GET /`, pipelined, 16 deep",
            Self::Idle => "idle keep-alive connections",
            Self::Websockets => "WebSockets held",
        }
    }

    pub(super) fn app(self) -> App {
        match self {
            Self::Routes1000 => App::Thousand,
            Self::Middleware5 => App::Middleware,
            Self::Hello | Self::Param | Self::Pipelined | Self::Idle | Self::Websockets => App::Hello,
        }
    }

    pub(super) fn exchange(self) -> Exchange {
        let (path, body) = match self {
            Self::Param | Self::Routes1000 | Self::Middleware5 => ("/users/42", GREETING),
            Self::Hello | Self::Pipelined | Self::Idle | Self::Websockets => ("/", HELLO),
        };
        match self {
            Self::Middleware5 => Exchange {
                path,
                headers: &[ORIGIN],
                body,
                fields: &["x-request-id", "access-control-allow-origin"],
            },
            _ => Exchange { path, headers: &[], body, fields: &[] },
        }
    }

    /// Requests on a connection at once.
    pub(super) fn depth(self) -> u32 {
        if self == Self::Pipelined { 16 } else { 1 }
    }

    /// Connections are held, not loaded.
    pub(super) fn holds(self) -> bool {
        matches!(self, Self::Idle | Self::Websockets)
    }

    /// What this case adds to [`Case::Param`] is of interest, so that ours is measured without it in the same round.
    pub(super) fn has_plain(self) -> bool {
        matches!(self, Self::Routes1000 | Self::Middleware5)
    }
}

impl Peer {
    /// The name of its feature and, after `http-`, its program in the bench workspace.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seawall => "seawall",
            Self::SeawallBefore => "seawall-before",
            Self::Hyper => "hyper",
            Self::Axum => "axum",
            Self::ActixWeb => "actix-web",
            Self::Ntex => "ntex",
            Self::XitcaWeb => "xitca-web",
            Self::Salvo => "salvo",
            Self::MayMinihttp => "may_minihttp",
            Self::Echo => "echo",
            Self::Nginx => "nginx",
        }
    }

    /// Whether it can take part: nginx has no handlers, and middleware that a framework does not ship is not measured.
    pub(super) fn covers(self, case: Case) -> bool {
        match case {
            Case::Hello | Case::Pipelined | Case::Idle => true,
            Case::Param | Case::Routes1000 => self != Self::Nginx,
            Case::Middleware5 => {
                !matches!(self, Self::Hyper | Self::Ntex | Self::XitcaWeb | Self::MayMinihttp | Self::Nginx)
            }
            Case::Websockets => matches!(self, Self::Seawall | Self::SeawallBefore),
        }
    }
}

impl App {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Thousand => "thousand",
            Self::Middleware => "middleware",
        }
    }
}

/// Writes the table of 1,000 routes; its path.
pub(super) fn write_thousand(folder: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("thousand.routes");
    std::fs::write(&path, thousand()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// A pattern per line.
fn thousand() -> String {
    let below = ["", "/search", "/:id", "/:id/items", "/:id/items/:item"];
    let mut text = String::new();
    for at in 0..RESOURCES {
        let resource = if at == USERS { "users".to_owned() } else { format!("res{at}") };
        for below in below {
            let _ = writeln!(text, "/{resource}{below}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_a_thousand_routes_and_none_twice() {
        let text = thousand();
        let mut routes: Vec<_> = text.lines().collect();
        assert!(routes.contains(&"/users/:id"));
        routes.sort_unstable();
        routes.dedup();
        assert_eq!(routes.len(), 1_000);
    }

    #[test]
    fn names_on_the_command_line_and_in_json_are_the_same() {
        for peer in Peer::value_variants() {
            assert_eq!(serde_json::to_value(peer).unwrap(), peer.name());
            assert_eq!(peer.to_possible_value().unwrap().get_name(), peer.name());
        }
        for case in Case::value_variants() {
            assert_eq!(serde_json::to_value(case).unwrap(), case.name());
            assert_eq!(case.to_possible_value().unwrap().get_name(), case.name());
        }
    }

    #[test]
    fn we_take_part_in_every_case() {
        assert!(Case::value_variants().iter().all(|case| Peer::Seawall.covers(*case)));
    }
}

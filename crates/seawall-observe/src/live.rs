//! Configuration over the admin listener: what may be changed while the service runs, and by whom it was.
//!
//! | request | answer |
//! |---|---|
//! | `GET /config` | the names |
//! | `GET /config/{name}` | the value in force, as JSON |
//! | `PUT /config/{name}` | takes JSON over: 200 with the value now in force, or 400 that names the field |
//!
//! Each asks for the token of the profiler, where there is one. Where there is none, only clients of the same machine may
//! change anything. What was changed, and by whom, is in the log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use seawall_http::{AnyLiveConfig, App, Context, Error, LiveConfigError, Path, Response, Result, State};

use crate::admin::View;

/// What [`Admin::show_config`](crate::Admin::show_config) was given, by name: as many as the program has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configs(Arc<RwLock<BTreeMap<String, AnyLiveConfig>>>);

impl Configs {
    pub(crate) fn show(&self, config: AnyLiveConfig) {
        self.0.write().insert(config.name().to_owned(), config);
    }

    fn named(&self, name: &str) -> Result<AnyLiveConfig> {
        let found = self.0.read().get(name).cloned();
        found.ok_or_else(|| {
            Error::not_found("no configuration of this name is shown here; GET /config has them")
        })
    }
}

pub(crate) fn mount(app: App) -> App {
    app.get("/config", list).get("/config/:name", show).put("/config/:name", change)
}

async fn list(c: Context, view: State<View>) -> Result<Response> {
    view.may_look(&c)?;
    let names: Vec<_> = view.configs.0.read().keys().cloned().collect();
    c.json_pretty(200, &names)
}

async fn show(c: Context, view: State<View>, Path(name): Path<String>) -> Result<Response> {
    view.may_look(&c)?;
    answer(&c, &view.configs.named(&name)?)
}

async fn change(c: Context, view: State<View>, Path(name): Path<String>) -> Result<Response> {
    view.may_change(&c)?;
    let config = view.configs.named(&name)?;
    let body = c.body().await?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::bad_request("it is no text in UTF-8"))?;
    let peer = c.peer().map_or_else(|| "an unknown peer".to_owned(), |peer| peer.to_string());
    config.set_json(text, &peer).map_err(|error| refusal(&error))?;
    answer(&c, &config)
}

fn answer(c: &Context, config: &AnyLiveConfig) -> Result<Response> {
    c.bytes(200, "application/json", config.to_json())
}

fn refusal(error: &LiveConfigError) -> Error {
    let answer = Error::bad_request("refused; everything stays as it was");
    match error.field() {
        Some(field) => answer.field(field.to_owned(), error),
        None => answer.field("body", error),
    }
}

/// Whether a client that has shown the token, if there is one, may change anything.
///
/// # Errors
/// If there is no token, and the client is on another machine.
pub(crate) fn is_near_or_known(has_token: bool, peer: Option<SocketAddr>) -> Result<()> {
    if has_token || peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        return Ok(());
    }
    Err(Error::forbidden("from another machine this needs a token: PprofConfig::token"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(has_token: bool, peer: &str, expected: bool) {
        assert_eq!(is_near_or_known(has_token, peer.parse().ok()).is_ok(), expected, "{peer}");
    }

    #[test]
    fn without_a_token_only_this_machine_may_change_anything() {
        check(false, "127.0.0.1:9", true);
        check(false, "[::1]:9", true);
        check(false, "[::ffff:127.0.0.1]:9", true);
        check(false, "192.0.2.1:9", false);
        check(false, "[2001:db8::1]:9", false);
        check(false, "unknown", false);
        check(true, "192.0.2.1:9", true);
    }
}

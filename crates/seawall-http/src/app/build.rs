//! From an [`App`] to a [`Service`]: groups become chains, patterns a tree, and mistakes one list.

use std::sync::Arc;

use super::flat::{Flat, Part};
use super::needs::missing_state;
use super::start::Background;
use super::{App, LookUp, Router};
use crate::error::{BuildError, Result};
use crate::server::Built;
use crate::service::Service;

pub(super) fn build(mut app: App) -> Result<Built> {
    #[cfg(feature = "openapi")]
    if let Some(api) = app.openapi.take() {
        app = api.serve(app);
    }
    app.shared.body_limit = app.config.body_limit;
    let mut flat = Flat::new(&app);
    let mut problems = Vec::new();
    problems.extend(app.config.check().err().map(|error| error.to_string()));
    problems.extend(missing_state(&app));
    let overload = app.overload.take();
    problems.extend(overload.as_ref().and_then(|control| control.problem(&app.config)).map(str::to_owned));
    problems.append(&mut flat.problems);
    // Nothing is started before all mistakes are found: an app that cannot run must not touch the world.
    if !problems.is_empty() {
        return Err(BuildError(problems).into());
    }
    app.shared.names = Arc::new(std::mem::take(&mut flat.names));
    flat.trees.pack();
    let background = Background::start(std::mem::take(&mut app.starters), &mut app.shared)?;
    let shared = app.shared.share();
    let chain = |part: &Part| part.compile(&shared);
    let router = Arc::new(Router {
        routes: flat.routes.iter().map(chain).collect(),
        scopes: flat.scopes.iter().map(chain).collect(),
        has_guards: flat.routes.iter().any(|part| part.guard.concerns_admission()),
        trees: Arc::new(flat.trees),
    });
    let pre = (!app.pre.is_empty())
        .then(|| Part::pre(&app.pre, Arc::new(LookUp(Arc::clone(&router)))).compile(&shared));
    let service = Service::new(router, pre, shared, background);
    let service = app.swap.iter().fold(service, Service::swapped_by);
    Ok(Built { service, config: app.config, overload })
}

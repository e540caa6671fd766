//! From an [`App`] to a [`Service`]: groups become chains, patterns a tree, and mistakes one list.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, header};

use super::group::{Route, method_name};
use super::start::Background;
use super::{App, Chain, Group, LookUp, Router, Shared};
use crate::context::Context;
use crate::error::{BuildError, Error, Result, allow_value};
use crate::extract::Needs;
use crate::handler::{AnyHandler, Endpoint};
use crate::measure::RouteTimers;
use crate::middleware::Step;
use crate::respond::Response;
use crate::router::{Pattern, Tree};
use crate::server::ServerConfig;
use crate::service::Service;

pub(super) fn build(mut app: App) -> Result<(Service, ServerConfig)> {
    let mut problems = Vec::new();
    problems.extend(app.config.check().err().map(|error| error.to_string()));
    app.shared.body_limit = app.config.body_limit;
    problems.extend(missing_state(&app));
    // Nothing is started before all mistakes are found: an app that cannot run must not touch the world.
    let fallback = app.fallback.take().unwrap_or_else(|| Endpoint::new(NoRoute));
    let flat = Flat::new(&app.root, &fallback, &mut problems);
    if !problems.is_empty() {
        return Err(BuildError(problems).into());
    }
    let background = Background::start(std::mem::take(&mut app.starters), &mut app.shared)?;
    let shared = app.shared.share();
    let chain = |part: &Part| part.compile(&shared);
    let router = Arc::new(Router {
        routes: flat.routes.iter().map(chain).collect(),
        scopes: flat.scopes.iter().map(chain).collect(),
        tree: Arc::new(flat.tree),
    });
    let pre = (!app.pre.is_empty()).then(|| {
        let endpoint = Endpoint::new(LookUp(Arc::clone(&router)));
        Part::new(&app.pre, &endpoint, "pre".to_owned(), Vec::new()).compile(&shared)
    });
    Ok((Service::new(router, pre, shared, background), app.config))
}

/// A chain before the state is there.
struct Part {
    pattern: String,
    names: Vec<String>,
    steps: Vec<Step>,
    handler: Arc<dyn AnyHandler>,
}

impl Part {
    fn new(outer: &[Step], endpoint: &Endpoint, pattern: String, names: Vec<String>) -> Self {
        let steps = [outer, &endpoint.steps].concat();
        Self { pattern, names, steps, handler: Arc::clone(&endpoint.handler) }
    }

    fn compile(&self, shared: &Arc<Shared>) -> Arc<Chain> {
        Arc::new(Chain {
            pattern: self.pattern.as_str().into(),
            names: self.names.iter().map(|name| name.as_str().into()).collect(),
            steps: self.steps.clone().into(),
            handler: Arc::clone(&self.handler),
            shared: Arc::clone(shared),
            timers: RouteTimers::default(),
        })
    }
}

/// All groups, flattened: outer middleware first, then the group's own, then the route's.
struct Flat {
    routes: Vec<Part>,
    /// `METHOD /pattern` of each route, to name both when two collide.
    written: Vec<String>,
    /// One per group: its middleware around the answer to a path without a route.
    scopes: Vec<Part>,
    tree: Tree,
}

impl Flat {
    fn new(root: &Group, fallback: &Endpoint, problems: &mut Vec<String>) -> Self {
        let mut flat = Self { routes: vec![], written: vec![], scopes: vec![], tree: Tree::new() };
        let handler = Arc::new(Unmatched(Arc::clone(&fallback.handler)));
        let fallback = Endpoint { steps: fallback.steps.clone(), handler };
        flat.group("", &[], root, &fallback, problems);
        flat
    }

    fn group(
        &mut self,
        prefix: &str,
        outer: &[Step],
        group: &Group,
        fallback: &Endpoint,
        problems: &mut Vec<String>,
    ) {
        let steps = [outer, &group.steps].concat();
        match Pattern::parse(prefix) {
            Ok(pattern) => self.tree.insert_scope(&pattern, self.scopes.len()),
            Err(problem) => problems.push(format!("the prefix `{prefix}` is refused: {problem}")),
        }
        self.scopes.push(Part::new(&steps, fallback, String::new(), Vec::new()));
        for route in &group.routes {
            self.route(prefix, &steps, route).unwrap_or_else(|problem| problems.push(problem));
        }
        for (inner, group) in &group.groups {
            let inner = if inner == "/" { "" } else { inner };
            if inner.ends_with('/') {
                problems.push(format!(
                    "the prefix `{prefix}{inner}` ends with `/`, but its routes begin with one"
                ));
                continue;
            }
            self.group(&format!("{prefix}{inner}"), &steps, group, fallback, problems);
        }
    }

    fn route(&mut self, prefix: &str, steps: &[Step], route: &Route) -> Result<(), String> {
        let text = match (prefix, route.pattern.as_str()) {
            ("", "") => "/".to_owned(),
            (prefix, pattern) => format!("{prefix}{pattern}"),
        };
        let written = format!("{} {text}", method_name(route.method.as_ref()));
        let refuse = |problem| format!("`{written}` is refused: {problem}");
        let pattern = Pattern::parse(&text).map_err(refuse)?;
        let number = self.routes.len();
        self.tree.insert(route.method.clone(), &pattern, number).map_err(|known| {
            format!(
                "`{written}` matches the same requests as `{}`, which was registered before it",
                self.written[known]
            )
        })?;
        let names = pattern.names().into_iter().map(str::to_owned).collect();
        self.routes.push(Part::new(steps, &route.endpoint, text, names));
        self.written.push(written);
        Ok(())
    }
}

/// One sentence per type of state that somebody needs and nobody gave.
fn missing_state(app: &App) -> Vec<String> {
    let mut missing = BTreeMap::<&str, Vec<String>>::new();
    let mut note = |who: String, needs: Needs| {
        for (id, name) in needs.0 {
            let users = missing.entry(name).or_default();
            if !app.provides(id) && !users.contains(&who) {
                users.push(who.clone());
            }
        }
    };
    each_need("", &app.root, &mut note);
    app.pre.iter().for_each(|step| note("a pre-routing middleware".to_owned(), step_needs(step)));
    if let Some(fallback) = &app.fallback {
        note("the fallback".to_owned(), endpoint_needs(fallback));
    }
    let users = missing.into_iter().filter(|(_, users)| !users.is_empty());
    users
        .map(|(state, users)| format!("no .state(..) gave a {state}; needed by {}", users.join(", ")))
        .collect()
}

fn each_need(prefix: &str, group: &Group, note: &mut impl FnMut(String, Needs)) {
    let place = if prefix.is_empty() { "the app".to_owned() } else { format!("the group {prefix}") };
    group.steps.iter().for_each(|step| note(format!("a middleware of {place}"), step_needs(step)));
    for Route { method, pattern, endpoint } in &group.routes {
        note(format!("{} {prefix}{pattern}", method_name(method.as_ref())), endpoint_needs(endpoint));
    }
    for (inner, group) in &group.groups {
        each_need(&format!("{prefix}{inner}"), group, note);
    }
}

fn step_needs(step: &Step) -> Needs {
    let mut needs = Needs::default();
    step.needs(&mut needs);
    needs
}

fn endpoint_needs(endpoint: &Endpoint) -> Needs {
    let mut needs = Needs::default();
    endpoint.handler.needs(&mut needs);
    endpoint.steps.iter().for_each(|step| step.needs(&mut needs));
    needs
}

/// The default answer to a path without a route.
struct NoRoute;

impl AnyHandler for NoRoute {
    fn call(&self, _: Context) -> BoxFuture<'_, Result<Response>> {
        std::future::ready(Err(Error::not_found("Not Found"))).boxed()
    }
}

/// The end of a chain that no route belongs to: 405 and the automatic OPTIONS are kept whatever the fallback says.
struct Unmatched(Arc<dyn AnyHandler>);

impl AnyHandler for Unmatched {
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        let Some(allow) = c.other_methods() else { return self.0.call(c) };
        let answer = if c.method() == Method::OPTIONS {
            Ok(Response::new(StatusCode::NO_CONTENT, "").header(header::ALLOW, allow_value(allow)))
        } else {
            Err(Error::method_not_allowed(allow))
        };
        std::future::ready(answer).boxed()
    }
}

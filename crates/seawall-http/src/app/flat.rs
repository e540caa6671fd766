//! Groups, flattened: one chain per route, one scope per group, one tree per host, and every mistake on one list.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, header};

use super::group::{Route, method_name};
use super::names::Names;
use super::router::Trees;
use super::shared::OnError;
use super::{App, Chain, Group, Shared};
use crate::context::Context;
use crate::error::{Error, Result, allow_value};
use crate::handler::{AnyHandler, Endpoint};
use crate::measure::RouteTimers;
use crate::middleware::Step;
use crate::respond::Response;
use crate::router::{InsertError, Pattern, Tree, joined};
use crate::standing::RouteGuard;

/// A chain before the state is there.
pub(super) struct Part {
    host: Option<Arc<str>>,
    method: Option<Method>,
    pattern: String,
    names: Vec<String>,
    steps: Vec<Step>,
    handler: Arc<dyn AnyHandler>,
    on_error: Option<Arc<OnError>>,
    pub(super) guard: RouteGuard,
}

impl Part {
    /// The chain before a route is looked for.
    pub(super) fn pre(steps: &[Step], look_up: Arc<dyn AnyHandler>) -> Self {
        Self {
            host: None,
            method: None,
            pattern: "pre".to_owned(),
            names: Vec::new(),
            steps: steps.to_vec(),
            handler: look_up,
            on_error: None,
            guard: RouteGuard::default(),
        }
    }

    pub(super) fn compile(&self, shared: &Arc<Shared>) -> Arc<Chain> {
        Arc::new(Chain {
            host: self.host.clone(),
            method: self.method.clone(),
            pattern: self.pattern.as_str().into(),
            names: self.names.iter().map(|name| name.as_str().into()).collect(),
            steps: self.steps.clone().into(),
            handler: Arc::clone(&self.handler),
            on_error: self.on_error.clone(),
            shared: Arc::clone(shared),
            timers: RouteTimers::default(),
            guard: self.guard,
        })
    }
}

/// All groups, flattened: outer middleware first, then the group's own, then the route's.
#[derive(Default)]
pub(super) struct Flat {
    pub(super) routes: Vec<Part>,
    /// One per group: its middleware around the answer to a path without a route.
    pub(super) scopes: Vec<Part>,
    pub(super) trees: Trees,
    pub(super) names: Names,
    pub(super) problems: Vec<String>,
    /// `METHOD host/pattern` of each route, to name both when two collide.
    written: Vec<String>,
}

/// What a group has from those around it.
#[derive(Clone)]
struct Outer {
    host: Option<Arc<str>>,
    prefix: String,
    steps: Vec<Step>,
    fallback: Endpoint,
    on_error: Option<Arc<OnError>>,
    guard: RouteGuard,
}

impl Outer {
    /// What the routes of `group` have.
    fn around(&self, group: &Group) -> Self {
        Self {
            host: self.host.clone(),
            prefix: self.prefix.clone(),
            steps: [&self.steps[..], &group.steps].concat(),
            fallback: group.fallback.as_ref().unwrap_or(&self.fallback).clone(),
            on_error: group.on_error.as_ref().or(self.on_error.as_ref()).cloned(),
            guard: self.guard.around(group.guard),
        }
    }

    fn part(&self, pattern: String, names: Vec<String>, endpoint: &Endpoint) -> Part {
        Part {
            host: self.host.clone(),
            method: None,
            pattern,
            names,
            steps: [&self.steps[..], &endpoint.steps].concat(),
            handler: Arc::clone(&endpoint.handler),
            on_error: self.on_error.clone(),
            guard: self.guard.around(endpoint.guard),
        }
    }

    fn written(&self, method: Option<&Method>, pattern: &str) -> String {
        format!("{} {}{pattern}", method_name(method), self.host.as_deref().unwrap_or_default())
    }
}

impl Flat {
    pub(super) fn new(app: &App) -> Self {
        let mut flat = Self::default();
        let fallback = Endpoint::new(NoRoute);
        let outer = Outer {
            host: None,
            prefix: String::new(),
            steps: vec![],
            fallback,
            on_error: None,
            guard: RouteGuard::default(),
        };
        flat.group(&outer, &app.root);
        let outer = outer.around(&app.root);
        for (host, group) in &app.hosts {
            match flat.trees.hosts.tree_mut(host) {
                Ok(_) => {
                    flat.group(
                        &Outer { host: Some(host.to_ascii_lowercase().into()), ..outer.clone() },
                        group,
                    );
                }
                Err(problem) => flat.problems.push(format!("the host `{host}` is refused: {problem}")),
            }
        }
        flat
    }

    fn group(&mut self, outer: &Outer, group: &Group) {
        let inside = outer.around(group);
        let scope = self.scopes.len();
        match Pattern::parse(&inside.prefix) {
            Ok(pattern) => self.tree(&inside).insert_scope(&pattern, scope),
            Err(problem) => {
                self.problems.push(format!("the prefix `{}` is refused: {problem}", inside.prefix));
            }
        }
        let Endpoint { steps, handler, .. } = &inside.fallback;
        let unmatched = Endpoint { steps: steps.clone(), ..Endpoint::new(Unmatched(Arc::clone(handler))) };
        self.scopes.push(inside.part(String::new(), Vec::new(), &unmatched));
        for route in &group.routes {
            self.route(&inside, route).unwrap_or_else(|problem| self.problems.push(problem));
        }
        for (inner, group) in &group.groups {
            let inner = if inner == "/" { "" } else { inner };
            let prefix = format!("{}{inner}", inside.prefix);
            if inner.ends_with('/') {
                let problem = format!("the prefix `{prefix}` ends with `/`, but its routes begin with one");
                self.problems.push(problem);
                continue;
            }
            self.group(&Outer { prefix, ..inside.clone() }, group);
        }
    }

    fn tree(&mut self, outer: &Outer) -> &mut Tree {
        match &outer.host {
            None => &mut self.trees.any_host,
            Some(host) => self.trees.hosts.tree_mut(host).expect("it was taken once already"),
        }
    }

    fn route(&mut self, outer: &Outer, route: &Route) -> Result<(), String> {
        let text = joined(&outer.prefix, &route.pattern);
        let written = outer.written(route.method.as_ref(), &text);
        let refuse = |problem| format!("`{written}` is refused: {problem}");
        let pattern = Pattern::under(&outer.prefix, &route.pattern).map_err(refuse)?;
        let number = self.routes.len();
        let inserted = self.tree(outer).insert(route.method.clone(), &pattern, number);
        inserted.map_err(|error| match error {
            InsertError::Taken(known) => {
                let known = &self.written[known];
                format!("`{written}` matches the same requests as `{known}`, which was registered before it")
            }
            InsertError::Full(what) => format!("`{written}` is refused: {what}"),
        })?;
        let part = outer.part(text, pattern.names(), &route.endpoint);
        self.routes.push(Part { method: route.method.clone(), ..part });
        self.written.push(written);
        match &route.endpoint.name {
            Some(name) => self.name(name, pattern, number),
            None => Ok(()),
        }
    }

    /// A route may have one name for several methods, but a name only one path.
    fn name(&mut self, name: &str, pattern: Pattern, number: usize) -> Result<(), String> {
        self.names.insert(name, pattern, number).map_err(|known| {
            let [one, other] = [known, number].map(|number| &self.written[number]);
            format!("the name `{name}` is given to `{one}` and to `{other}`")
        })
    }
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

//! The list of an app's routes: for people at start, for tools, and for tests that guard a public API.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;

use super::group::{Route, method_name};
use super::{App, Group};
use crate::handler::Endpoint;
use crate::router::joined;

/// One route, as it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RouteInfo {
    /// The method; `ANY` for one that takes all that no other route names.
    pub method: String,
    /// The host that it is bound to; `None` for all hosts that have no routes of their own.
    pub host: Option<String>,
    /// The whole pattern, prefixes of groups included.
    pub pattern: String,
    /// What [`RouteOptions::name`](crate::RouteOptions::name) called it.
    pub name: Option<String>,
    /// The path of its handler, as the compiler writes it.
    pub handler: &'static str,
    /// How many middleware stand around it: the app's, its groups', its own.
    pub middleware: usize,
}

/// The routes of an app in the order of registration. Displayed, they are a table, sorted by host and pattern.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Routes(Vec<RouteInfo>);

impl Routes {
    pub(super) fn of(app: &App) -> Self {
        Self(collect(app).into_iter().map(|(route, _)| route).collect())
    }
}

/// Every route of the app, in the order of registration.
pub(super) fn collect(app: &App) -> Vec<(RouteInfo, &Endpoint)> {
    let mut routes = Vec::new();
    collect_group(&mut routes, None, "", 0, &app.root);
    for (host, group) in &app.hosts {
        collect_group(&mut routes, Some(host), "", app.root.steps.len(), group);
    }
    routes
}

fn collect_group<'a>(
    routes: &mut Vec<(RouteInfo, &'a Endpoint)>,
    host: Option<&str>,
    prefix: &str,
    outer: usize,
    group: &'a Group,
) {
    let outer = outer + group.steps.len();
    for Route { method, pattern, endpoint } in &group.routes {
        let route = RouteInfo {
            method: method_name(method.as_ref()).to_owned(),
            host: host.map(str::to_owned),
            pattern: joined(prefix, pattern),
            name: endpoint.name.as_deref().map(str::to_owned),
            handler: endpoint.handler.name(),
            middleware: outer + endpoint.steps.len(),
        };
        routes.push((route, endpoint));
    }
    for (inner, group) in &group.groups {
        let inner = if inner == "/" { "" } else { inner };
        collect_group(routes, host, &format!("{prefix}{inner}"), outer, group);
    }
}

impl Deref for Routes {
    type Target = [RouteInfo];
    fn deref(&self) -> &[RouteInfo] {
        &self.0
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut routes: Vec<_> = self.0.iter().collect();
        routes.sort_by_key(|route| (&route.host, &route.pattern));
        let place =
            |route: &RouteInfo| format!("{}{}", route.host.as_deref().unwrap_or_default(), route.pattern);
        let width = |cell: &dyn Fn(&RouteInfo) -> usize| routes.iter().map(|route| cell(route)).max();
        let methods = width(&|route| route.method.len()).unwrap_or(0);
        let places = width(&|route| place(route).chars().count()).unwrap_or(0);
        for route in routes {
            write!(f, "{:<methods$}  {:<places$}  {}", route.method, place(route), route.handler)?;
            if let Some(name) = &route.name {
                write!(f, " ({name})")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

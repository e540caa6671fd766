//! What handlers and middleware ask for, and whether the app gives it.

use std::collections::BTreeMap;

use super::group::{Route, method_name};
use super::{App, Group};
use crate::extract::Needs;
use crate::handler::Endpoint;
use crate::middleware::Step;

/// One sentence per type of state that somebody needs and nobody gave.
pub(super) fn missing_state(app: &App) -> Vec<String> {
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
    app.hosts.iter().for_each(|(host, group)| each_need(host, group, &mut note));
    app.pre.iter().for_each(|step| note("a pre-routing middleware".to_owned(), of_step(step)));
    let users = missing.into_iter().filter(|(_, users)| !users.is_empty());
    users
        .map(|(state, users)| format!("no .state(..) gave a {state}; needed by {}", users.join(", ")))
        .collect()
}

fn each_need(prefix: &str, group: &Group, note: &mut impl FnMut(String, Needs)) {
    let place = if prefix.is_empty() { "the app".to_owned() } else { format!("the group {prefix}") };
    group.steps.iter().for_each(|step| note(format!("a middleware of {place}"), of_step(step)));
    for Route { method, pattern, endpoint } in &group.routes {
        note(format!("{} {prefix}{pattern}", method_name(method.as_ref())), of_endpoint(endpoint));
    }
    if let Some(fallback) = &group.fallback {
        note(format!("the fallback of {place}"), of_endpoint(fallback));
    }
    for (inner, group) in &group.groups {
        each_need(&format!("{prefix}{inner}"), group, note);
    }
}

fn of_step(step: &Step) -> Needs {
    let mut needs = Needs::default();
    step.needs(&mut needs);
    needs
}

fn of_endpoint(endpoint: &Endpoint) -> Needs {
    let mut needs = Needs::default();
    endpoint.handler.needs(&mut needs);
    endpoint.steps.iter().for_each(|step| step.needs(&mut needs));
    needs
}

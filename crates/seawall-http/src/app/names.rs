//! Named routes, and the paths that lead back to them.

use std::collections::HashMap;
use std::fmt;

use crate::error::{Error, Result};
use crate::router::Pattern;

/// The patterns of the routes that have a name.
#[derive(Debug, Default)]
pub(crate) struct Names(HashMap<String, Named>);

#[derive(Debug)]
struct Named {
    pattern: Pattern,
    route: usize,
}

impl Names {
    /// The route that has the name already, unless that has the same pattern.
    pub(super) fn insert(&mut self, name: &str, pattern: Pattern, route: usize) -> Result<(), usize> {
        match self.0.get(name) {
            Some(known) if known.pattern != pattern => Err(known.route),
            Some(_) => Ok(()),
            None => {
                self.0.insert(name.to_owned(), Named { pattern, route });
                Ok(())
            }
        }
    }

    /// The path of the route called `name`. That it does not exist, or wants other parameters, is a mistake of the
    /// service's author, hence a 500.
    pub(crate) fn url(&self, name: &str, params: &[(&str, &dyn fmt::Display)]) -> Result<String> {
        let found = self.0.get(name).ok_or_else(|| format!("no route is called `{name}`"));
        let url = found.and_then(|found| found.pattern.url(params));
        url.map_err(|problem| Error::internal(format!("the URL of route `{name}`: {problem}")))
    }
}

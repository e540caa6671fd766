//! The router alone, for tools: which route would a request find, and why.
//!
//! It is the very tree that an app has. What an app adds (hosts, groups, handlers) is left out.
//!
//! ```
//! use seawall_http::routing::RouteTable;
//! use http::Method;
//!
//! let mut table = RouteTable::new();
//! table.add(Some(Method::GET), "/users/:id<int>")?;
//! table.add(Some(Method::GET), "/users/:name")?;
//!
//! let answer = table.resolve(&Method::GET, "/users/42");
//! assert_eq!(answer.route.as_deref(), Some("/users/:id<int>"));
//! assert_eq!(answer.params, [("id".to_owned(), "42".to_owned())]);
//! # Ok::<_, seawall_http::routing::AddError>(())
//! ```

use std::collections::HashMap;
use std::fmt;

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::explain::{self, Candidate};
use super::{Found, InsertError, Params, Pattern, Tree, own_name};

/// Routes without handlers, numbered from 0 in the order in which they were added.
///
/// The first look-up after an [`add`](RouteTable::add) lays all routes out anew, in time that grows with their number;
/// [`prepare`](RouteTable::prepare) does that earlier.
#[derive(Debug, Default)]
pub struct RouteTable {
    tree: Tree,
    routes: Vec<(Option<Method>, Box<str>)>,
    /// Which of `names` a route has: most routes of a table share theirs with others.
    named: Vec<u32>,
    names: Vec<Box<[Box<str>]>>,
    numbers: HashMap<Box<[Box<str>]>, u32>,
}

/// A route that was found. It borrows, so that finding it allocates nothing.
#[derive(Debug, Clone, Copy)]
pub struct Match<'t, 'p> {
    route: usize,
    names: &'t [Box<str>],
    path: &'p str,
    params: Params,
}

/// Where a request ends.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolution {
    /// 200 for a route, 204 for an automatic `OPTIONS`, 404, or 405.
    pub status: u16,
    /// The pattern of the route, as it was added.
    pub route: Option<String>,
    /// The number of the route.
    pub number: Option<usize>,
    /// Names and decoded values of the parameters, in the order of the path. The rest is named `*`; if it has a name
    /// of its own, it stands there again under that. Bytes that are no UTF-8 are replaced by U+FFFD; a handler that
    /// asks for such a value answers 400.
    pub params: Vec<(String, String)>,
    /// For 204 and 405, the methods that the path has.
    pub allow: Vec<String>,
}

/// Why a route was not added.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddError {
    /// The pattern is wrong; the text says what.
    Malformed(String),
    /// The route with this number matches the same requests.
    Taken(usize),
    /// The table has as many routes, expressions or methods as it may have; the text names the bound.
    Full(String),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) | Self::Full(problem) => f.write_str(problem),
            Self::Taken(number) => write!(f, "it matches the same requests as route number {number}"),
        }
    }
}

impl std::error::Error for AddError {}

impl RouteTable {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route and gives its number. No method is any method that no other route of the place names. The empty
    /// pattern is `/`.
    ///
    /// # Errors
    /// [`AddError`]: a malformed pattern, a route that is there already, a table that is full. The table stays as it
    /// was.
    pub fn add(&mut self, method: Option<Method>, pattern: &str) -> Result<usize, AddError> {
        let pattern = if pattern.is_empty() { "/" } else { pattern };
        let parsed = Pattern::parse(pattern).map_err(AddError::Malformed)?;
        let number = self.routes.len();
        self.tree.insert(method.clone(), &parsed, number).map_err(|error| match error {
            InsertError::Taken(known) => AddError::Taken(known),
            InsertError::Full(what) => AddError::Full(what.to_owned()),
        })?;
        let names: Box<[Box<str>]> = parsed.names().into_iter().map(String::into_boxed_str).collect();
        let named = *self.numbers.entry(names).or_insert_with_key(|names| {
            self.names.push(names.clone());
            self.names.len() as u32 - 1
        });
        self.routes.push((method, pattern.into()));
        self.named.push(named);
        Ok(number)
    }

    /// How many routes it has.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether it has no route.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// The method and the pattern of a route.
    pub fn get(&self, number: usize) -> Option<(Option<&Method>, &str)> {
        self.routes.get(number).map(|(method, pattern)| (method.as_ref(), &**pattern))
    }

    /// Does now what the first look-up would do.
    pub fn prepare(&self) {
        self.tree.pack();
    }

    /// The bytes that look-ups read from, without the names of parameters.
    pub fn look_up_bytes(&self) -> usize {
        self.tree.packed_bytes()
    }

    /// The route for a method and a raw path (as it was sent, without a query). Finding one allocates nothing, unless
    /// it is a regular expression, or a percent-encoded segment is longer than 256 bytes.
    #[inline]
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Option<Match<'_, 'p>> {
        let mut found = Match { route: 0, names: &[], path, params: Params::default() };
        found.route = self.tree.find_route(method, path, &mut found.params).ok()?;
        found.names = self.names_of(found.route);
        Some(found)
    }

    #[inline]
    fn names_of(&self, route: usize) -> &[Box<str>] {
        &self.names[self.named[route] as usize]
    }

    /// Where a request ends, in full. For people and tools; [`find`](RouteTable::find) is the quick way.
    pub fn resolve(&self, method: &Method, path: &str) -> Resolution {
        let found = self.tree.find(method, path);
        let status = match found {
            Found::Route(..) => StatusCode::OK,
            Found::Methods(_) if *method == Method::OPTIONS => StatusCode::NO_CONTENT,
            Found::Methods(_) => StatusCode::METHOD_NOT_ALLOWED,
            Found::Nothing => StatusCode::NOT_FOUND,
        };
        let mut resolution = Resolution {
            status: status.as_u16(),
            route: None,
            number: None,
            params: Vec::new(),
            allow: Vec::new(),
        };
        match found {
            Found::Route(route, params) => {
                resolution.number = Some(route);
                resolution.route = Some(self.routes[route].1.to_string());
                let names = self.names_of(route);
                resolution.params = Match { route, names, path, params }.decoded();
            }
            Found::Methods(allow) => resolution.allow = allow.iter().map(Method::to_string).collect(),
            Found::Nothing => {}
        }
        resolution
    }

    /// Why a request ends where [`resolve`](RouteTable::resolve) says, in words: which patterns match the path, and what
    /// decides between them.
    pub fn explain(&self, method: &Method, path: &str) -> String {
        let found = self.tree.find(method, path);
        let candidates: Vec<_> =
            self.tree.candidates(path).into_iter().map(|at| self.candidate(at)).collect();
        match found {
            Found::Route(route, _) => explain::won(&candidates, &self.candidate(route), method),
            Found::Methods(_) => explain::other_methods(&candidates, method),
            Found::Nothing => explain::nothing(path, |other| {
                let first = self.tree.candidates(other).first().copied();
                first.map(|at| self.routes[at].1.to_string())
            }),
        }
    }

    fn candidate(&self, at: usize) -> Candidate<'_> {
        let (method, pattern) = &self.routes[at];
        Candidate { method: method.as_ref(), pattern }
    }
}

impl<'t, 'p> Match<'t, 'p> {
    /// The number of the route.
    pub fn route(&self) -> usize {
        self.route
    }

    /// Names and raw values of the parameters, in the order of the path. The rest is named `*`, or `*name`.
    pub fn params(&self) -> impl ExactSizeIterator<Item = (&'t str, &'p str)> + '_ {
        let value = |(start, end): &(u32, u32)| &self.path[*start as usize..*end as usize];
        self.names.iter().map(|name| &**name).zip(self.params.spans().iter().map(value))
    }

    fn decoded(&self) -> Vec<(String, String)> {
        let mut params = Vec::new();
        for (name, raw) in self.params() {
            let value = percent_decode_str(raw).decode_utf8_lossy().into_owned();
            let own = own_name(name);
            if own != name {
                params.push(("*".to_owned(), value.clone()));
            }
            params.push((own.to_owned(), value));
        }
        params
    }
}

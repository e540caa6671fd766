//! All routes of a host: the trie, its packed form, and the regular expressions behind it.

use std::cell::Cell;
use std::sync::OnceLock;

use http::Method;

use super::Params;
use super::expression::{Expression, Readable};
use super::methods::{ANY, MethodId, MethodSet, Methods};
use super::packed::Packed;
use super::pattern::{Form, Pattern, Segment};
use super::search::Search;
use super::trie::{Leaf, MAX_ROUTES, Refused, Trie, choose, enter};

/// The most regular expressions of one tree: they are tried one after the other.
pub(super) const MAX_EXPRESSIONS: usize = 256;

/// Where a look-up ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// At the route that was inserted under this number.
    Route(usize, Params),
    /// Nowhere, but the path knows these methods (sorted, HEAD beside GET, with OPTIONS).
    Methods(Vec<Method>),
    /// Nowhere.
    Nothing,
}

/// Why a route was not inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InsertError {
    /// This route matches the same requests.
    Taken(usize),
    /// There are too many routes, expressions or methods; the text says of what, and the bound.
    Full(&'static str),
}

impl From<Refused> for InsertError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Taken(route) => Self::Taken(route),
            Refused::Full => Self::Full("a table has at most 16,777,214 routes and as many places"),
        }
    }
}

/// All routes of an app, by path. Values live outside, under the numbers that [`Tree::insert`] was given.
///
/// The first look-up after an insert packs what is there; [`Tree::pack`] does it earlier.
#[derive(Debug)]
pub(crate) struct Tree {
    routes: Trie,
    methods: Methods,
    /// In the order of registration.
    expressions: Vec<(Expression, Leaf)>,
    /// Prefixes of groups: a scope is a leaf at its prefix and a rest below it.
    scopes: Trie,
    /// How long the prefix of each scope is, by number.
    depths: Vec<(usize, usize)>,
    packed: OnceLock<Both>,
}

#[derive(Debug)]
struct Both {
    routes: Packed,
    scopes: Packed,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            routes: Trie::new(),
            methods: Methods::default(),
            expressions: Vec::new(),
            scopes: Trie::new(),
            depths: Vec::new(),
            packed: OnceLock::new(),
        }
    }

    /// Puts a route in; why not, otherwise. `method: None` is any method.
    pub(crate) fn insert(
        &mut self,
        method: Option<Method>,
        pattern: &Pattern,
        route: usize,
    ) -> Result<(), InsertError> {
        let many = InsertError::Full("a table has at most 100 methods that are no standard ones");
        let method = method.map_or(Some(ANY), |method| self.methods.intern(&method)).ok_or(many)?;
        self.packed.take();
        match &pattern.form {
            Form::Path(path) => Ok(self.routes.insert(method, path, route)?),
            Form::Regex(expression) => self.insert_expression(method, expression, route),
        }
    }

    fn insert_expression(
        &mut self,
        method: MethodId,
        expression: &Expression,
        route: usize,
    ) -> Result<(), InsertError> {
        if let Some((_, leaf)) = self.expressions.iter_mut().find(|(known, _)| known == expression) {
            return Ok(enter(leaf, method, route)?);
        }
        if self.expressions.len() == MAX_EXPRESSIONS || route > MAX_ROUTES {
            return Err(InsertError::Full("a table has at most 256 regular expressions"));
        }
        self.expressions.push((expression.clone(), vec![(method, route as u32)]));
        Ok(())
    }

    /// Makes `scope` answer for what is not found below `prefix`. The first one for a prefix stays.
    pub(crate) fn insert_scope(&mut self, prefix: &Pattern, scope: usize) {
        // A regular expression is no prefix; it is refused where groups are made.
        let Form::Path(prefix) = &prefix.form else { return };
        self.packed.take();
        let number = self.depths.len();
        let below = [&prefix[..], &[Segment::Rest { name: None }]].concat();
        // What is taken is the first one's, which stays.
        let _ = self.scopes.insert(ANY, prefix, number);
        let _ = self.scopes.insert(ANY, &below, number);
        self.depths.push((prefix.len(), scope));
    }

    /// Does now what the first look-up would do.
    pub(crate) fn pack(&self) {
        self.both();
    }

    fn both(&self) -> &Both {
        self.packed
            .get_or_init(|| Both { routes: Packed::new(&self.routes), scopes: Packed::new(&self.scopes) })
    }

    /// The route for a method and a raw path, which starts with `/`. Allocates only when the method does not fit, for
    /// regular expressions, and for a percent-encoded segment of more than 256 bytes.
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found {
        let mut params = Params::default();
        match self.find_route(method, path, &mut params) {
            Ok(route) => Found::Route(route, params),
            Err(known) if known.is_empty() => Found::Nothing,
            Err(known) => Found::Methods(self.methods.allowed(known)),
        }
    }

    /// The route alone, with `params`, which are empty, filled; else the methods that the path has.
    #[inline]
    pub(super) fn find_route(
        &self,
        method: &Method,
        path: &str,
        params: &mut Params,
    ) -> Result<usize, MethodSet> {
        let wanted = self.methods.id(method);
        let packed = &self.both().routes;
        let mut known = MethodSet::default();
        let route = Search::new(packed, path, params, |leaf| {
            let route = packed.choose(leaf, wanted);
            if route.is_none() && !leaf.is_none() {
                packed.methods(leaf, &mut known);
            }
            route
        })
        .run();
        route.map_or_else(|| self.find_expression(wanted, path, params, known), Ok)
    }

    #[cold]
    fn find_expression(
        &self,
        wanted: MethodId,
        path: &str,
        params: &mut Params,
        mut known: MethodSet,
    ) -> Result<usize, MethodSet> {
        for (leaf, found) in self.matching_expressions(path) {
            if let Some(route) = choose(numbers(leaf), wanted) {
                *params = found;
                return Ok(route);
            }
            leaf.iter().for_each(|(method, _)| known.add(*method));
        }
        Err(known)
    }

    fn matching_expressions<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a Leaf, Params)> + 'a {
        let fits = path.starts_with('/') && u32::try_from(path.len()).is_ok();
        let wanted = fits && !self.expressions.is_empty();
        let path = if wanted { Readable::new(path) } else { None };
        let matching = move |(expression, leaf): &'a (Expression, Leaf)| {
            Some((leaf, expression.matches(path.as_ref()?)?))
        };
        self.expressions.iter().filter_map(matching)
    }

    /// Every route whose pattern matches the path, whatever its method, in the order of precedence.
    pub(super) fn candidates(&self, path: &str) -> Vec<usize> {
        let packed = &self.both().routes;
        let mut routes = Vec::new();
        Search::new(packed, path, &mut Params::default(), |leaf| {
            routes.extend(packed.entries(leaf).map(|(_, route)| route));
            None::<()>
        })
        .run();
        routes.extend(
            self.matching_expressions(path).flat_map(|(leaf, _)| numbers(leaf)).map(|(_, route)| route),
        );
        routes
    }

    /// The group that answers for a path without a route: the one with the longest prefix.
    pub(crate) fn scope(&self, path: &str) -> Option<usize> {
        let packed = &self.both().scopes;
        let longest = Cell::new(None);
        Search::new(packed, path, &mut Params::default(), |leaf| {
            let scope = packed.choose(leaf, ANY).and_then(|number| self.depths.get(number).copied());
            // Of two that are as long, the one that takes precedence came first.
            if scope.map(|(depth, _)| depth) > longest.get().map(|(depth, _)| depth) {
                longest.set(scope);
            }
            None::<()>
        })
        .run();
        let root = || self.depths.iter().find(|(depth, _)| *depth == 0).copied();
        longest.get().or_else(root).map(|(_, scope)| scope)
    }

    /// Bytes that look-ups read from.
    pub(super) fn packed_bytes(&self) -> usize {
        self.both().routes.bytes()
    }

    /// How many nodes a look-up of `path` visits.
    #[cfg(test)]
    pub(super) fn visits(&self, path: &str) -> usize {
        let mut params = Params::default();
        let mut search = Search::new(&self.both().routes, path, &mut params, |_| None::<()>);
        search.run();
        search.visits
    }
}

fn numbers(leaf: &Leaf) -> impl Iterator<Item = (MethodId, usize)> + '_ {
    leaf.iter().map(|(method, route)| (*method, *route as usize))
}

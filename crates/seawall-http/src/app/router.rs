//! All chains of an app, and the trees that find them: by host, then by path.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::hosts::Hosts;
use super::{Chain, Shared};
use crate::context::{Context, Matched};
use crate::error::Result;
use crate::handler::AnyHandler;
use crate::head::Head;
use crate::middleware::Next;
use crate::respond::Response;
use crate::router::{Found, Params, Tree};
use crate::standing::RouteGuard;

/// All chains, and the trees that find them.
pub(crate) struct Router {
    /// Read only, hence shared by all workers.
    pub(super) trees: Arc<Trees>,
    pub(super) routes: Vec<Arc<Chain>>,
    pub(super) scopes: Vec<Arc<Chain>>,
    /// Whether any route says something that admission has to know.
    pub(super) has_guards: bool,
}

/// One tree per host that has routes of its own, and that of all others. Their numbers are those of [`Router`].
#[derive(Debug, Default)]
pub(super) struct Trees {
    pub(super) hosts: Hosts,
    pub(super) any_host: Tree,
}

impl Trees {
    /// Does now what the first request would do.
    pub(super) fn pack(&self) {
        self.any_host.pack();
        self.hosts.pack();
    }

    fn of(&self, c: &Context) -> &Tree {
        self.hosts.find(c).unwrap_or(&self.any_host)
    }
}

impl Router {
    /// The same routes on reference counts of their own.
    pub(crate) fn replicate(&self, shared: &Arc<Shared>) -> Arc<Self> {
        let own = |chain: &Arc<Chain>| chain.replicate(shared, None);
        Arc::new(Self {
            trees: Arc::clone(&self.trees),
            routes: self.routes.iter().map(own).collect(),
            scopes: self.scopes.iter().map(own).collect(),
            has_guards: self.has_guards,
        })
    }

    /// The number of routes.
    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }

    pub(crate) async fn run(&self, c: Context) -> Result<Response> {
        let chain = Arc::clone(self.find(&c));
        Next::new(chain).run(c).await
    }

    /// What the route of a request says that is not one yet. A rewrite before routing is not seen here.
    pub(crate) fn guard_of(&self, head: &Head) -> RouteGuard {
        if !self.has_guards {
            return RouteGuard::default();
        }
        let tree = self.trees.hosts.find_for(head).unwrap_or(&self.trees.any_host);
        match tree.find(head.method(), head.path()) {
            Found::Route(route, _) => self.routes[route].guard(),
            Found::Methods(_) | Found::Nothing => RouteGuard::default(),
        }
    }

    fn find(&self, c: &Context) -> &Arc<Chain> {
        let tree = self.trees.of(c);
        let (chain, params) = match tree.find(c.method(), c.path()) {
            Found::Route(route, params) => (&self.routes[route], params),
            Found::Methods(allow) => {
                c.set_other_methods(allow);
                (self.scope(tree, c), Params::default())
            }
            Found::Nothing => (self.scope(tree, c), Params::default()),
        };
        c.set_matched(Matched { chain: Arc::clone(chain), params });
        if let Some(limit) = chain.guard().deadline {
            c.replace_deadline(limit);
        }
        chain
    }

    /// The group that answers for a path without a route.
    fn scope(&self, tree: &Tree, c: &Context) -> &Arc<Chain> {
        let scope = tree.scope(c.path()).expect("the outermost group answers for every path");
        &self.scopes[scope]
    }
}

/// The end of the pre-routing chain.
pub(crate) struct LookUp(pub(crate) Arc<Router>);

impl AnyHandler for LookUp {
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        Box::pin(self.0.run(c))
    }
}

//! All chains of an app, and the trees that find them: by host, then by path.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{Chain, Shared};
use crate::context::{Context, Matched};
use crate::error::Result;
use crate::handler::AnyHandler;
use crate::middleware::Next;
use crate::respond::Response;
use crate::router::{Found, Params, Tree};

/// All chains, and the tree that finds them.
pub(crate) struct Router {
    /// Read only, hence shared by all workers.
    pub(crate) tree: Arc<Tree>,
    pub(crate) routes: Vec<Arc<Chain>>,
    pub(crate) scopes: Vec<Arc<Chain>>,
}

impl Router {
    /// The same routes on reference counts of their own.
    pub(crate) fn replicate(&self, shared: &Arc<Shared>) -> Arc<Self> {
        let own = |chain: &Arc<Chain>| chain.replicate(shared, None);
        Arc::new(Self {
            tree: Arc::clone(&self.tree),
            routes: self.routes.iter().map(own).collect(),
            scopes: self.scopes.iter().map(own).collect(),
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

    fn find(&self, c: &Context) -> &Arc<Chain> {
        let (chain, params) = match self.tree.find(c.method(), c.path()) {
            Found::Route(route, params) => (&self.routes[route], params),
            Found::Methods(allow) => {
                c.set_other_methods(allow);
                (self.scope(c), Params::default())
            }
            Found::Nothing => (self.scope(c), Params::default()),
        };
        c.set_matched(Matched { chain: Arc::clone(chain), params });
        chain
    }

    /// The group that answers for a path without a route.
    fn scope(&self, c: &Context) -> &Arc<Chain> {
        let scope = self.tree.scope(c.path()).expect("the outermost group answers for every path");
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

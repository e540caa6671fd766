//! Handlers: async functions and closures of up to eight arguments.
//!
//! Shape and conditions are kept apart, so that rustc names the mistake. [`Callable`] (one implementation per arity)
//! judges nothing; [`Handler`] has one blanket implementation with all conditions. With a single candidate rustc
//! reports the condition that failed; with one implementation per arity it could only say "not a handler".

use std::any::type_name;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use seawall_guard::Priority;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::extract::{Extract, Head, Needs};
use crate::middleware::{Middleware, Step, around};
use crate::respond::{IntoResponse, Response};
use crate::service::panicked;
use crate::standing::RouteGuard;

/// A handler: an async function or closure of up to eight arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler",
    label = "expected an async function or closure",
    note = "a handler is `async fn name(c: Context, more: Extractor) -> Result<Response>` with at most 8 arguments, or a closure like it"
)]
pub trait Handler<M>: Sized {
    /// Forgets the handler's type.
    fn into_endpoint(self) -> Endpoint;
}

/// The shape of a handler: its arguments, and what calling it gives.
pub trait Callable<Signature>: Send + Sync + 'static {
    /// A tuple of the arguments.
    type Args;
    /// The handler's future.
    type Future;
    /// Calls it.
    fn invoke(&self, args: Self::Args) -> Self::Future;
}

/// What calling a handler gives. Here only to ask for the forgotten `async`: std would say "is not a future".
#[diagnostic::on_unimplemented(
    message = "a handler must be async, this one returns `{Self}` at once",
    label = "is the `async` missing in front of this `fn`?"
)]
pub trait Answering: Future<Output = Self::Answer> {
    /// What comes out of it.
    type Answer;
}

#[diagnostic::do_not_recommend]
impl<F: Future> Answering for F {
    type Answer = F::Output;
}

/// The arguments of a handler; `Last` is what the last of them reads.
pub trait Arguments<Last>: Sized {
    /// Takes all of them, in order, and stops at the first that fails.
    fn extract(c: &Context) -> impl Future<Output = Result<Self>> + Send;
    /// What they ask for at start.
    fn needs(needs: &mut Needs);
}

impl<H, Signature: 'static, Last: 'static> Handler<(Signature, Last)> for H
where
    H: Callable<Signature, Args: Arguments<Last> + Send, Future: Answering<Answer: IntoResponse> + Send>,
{
    fn into_endpoint(self) -> Endpoint {
        Endpoint::new(TypedHandler(self, PhantomData))
    }
}

/// A handler with middleware and options of its own.
#[derive(Clone)]
pub struct Endpoint {
    pub(crate) steps: Vec<Step>,
    pub(crate) handler: Arc<dyn AnyHandler>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) guard: RouteGuard,
    #[cfg(feature = "openapi")]
    pub(crate) doc: Option<crate::openapi::Operation>,
}

impl Endpoint {
    pub(crate) fn new(handler: impl AnyHandler + 'static) -> Self {
        Self {
            steps: Vec::new(),
            handler: Arc::new(handler),
            name: None,
            guard: RouteGuard::default(),
            #[cfg(feature = "openapi")]
            doc: None,
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("handler", &self.handler.name())
            .field("name", &self.name)
            .field("middleware", &self.steps.len())
            .finish()
    }
}

#[diagnostic::do_not_recommend]
impl Handler<Endpoint> for Endpoint {
    fn into_endpoint(self) -> Endpoint {
        self
    }
}

/// A handler whose type is forgotten. Its future is the one allocation that a call costs.
pub(crate) trait AnyHandler: Send + Sync {
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>>;
    fn needs(&self, _needs: &mut Needs) {}
    /// The function's path, for listings.
    fn name(&self) -> &'static str {
        type_name::<Self>()
    }
}

struct TypedHandler<H, Signature, Last>(H, PhantomData<fn() -> (Signature, Last)>);

impl<H, Signature, Last> AnyHandler for TypedHandler<H, Signature, Last>
where
    H: Callable<Signature, Args: Arguments<Last> + Send, Future: Answering<Answer: IntoResponse> + Send>,
{
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        Box::pin(async move {
            let args = H::Args::extract(&c).await?;
            drop(c); // from here on the request lives as long as the handler wants it
            self.0.invoke(args).await.into_response()
        })
    }
    fn needs(&self, needs: &mut Needs) {
        H::Args::needs(needs);
    }
    fn name(&self) -> &'static str {
        type_name::<H>()
    }
}

macro_rules! callable {
    ($($arg:ident)*) => {
        impl<F: Fn($($arg),*) -> Fut + Send + Sync + 'static, Fut, $($arg),*> Callable<fn($($arg),*) -> Fut> for F {
            type Args = ($($arg,)*);
            type Future = Fut;
            #[allow(non_snake_case, reason = "the type parameters serve as names of the arguments")]
            fn invoke(&self, ($($arg,)*): Self::Args) -> Fut {
                self($($arg),*)
            }
        }
    };
}

macro_rules! arities {
    ($($first:ident)* |) => {};
    ($($first:ident)* | $last:ident $($more:ident)*) => {
        callable!($($first)* $last);

        impl<Part, $($first: Extract + Send,)* $last: Extract<Part> + Send> Arguments<Part> for ($($first,)* $last,) {
            async fn extract(c: &Context) -> Result<Self> {
                Ok(($($first::extract(c).await?,)* $last::extract(c).await?,))
            }
            fn needs(needs: &mut Needs) {
                $($first::needs(needs);)*
                $last::needs(needs);
            }
        }
        arities!($($first)* $last | $($more)*);
    };
}

impl Arguments<Head> for () {
    async fn extract(_: &Context) -> Result<Self> {
        Ok(())
    }
    fn needs(_: &mut Needs) {}
}

callable!();
arities!(| A B C D E G H I);

/// What may be written behind the handler of one route: `create_user.with(audit).timeout(SECOND)`.
pub trait RouteOptions<M>: Sized {
    /// Puts `middleware` around this handler, inside what was put there before.
    fn with<N: 'static>(self, middleware: impl Middleware<N>) -> Endpoint
    where
        Self: Handler<M>,
    {
        let mut endpoint = self.into_endpoint();
        endpoint.steps.push(middleware.into_step());
        endpoint
    }
    /// Names the route, so that [`Context::url`] finds its path. A name belongs to one route only.
    fn name(self, name: impl Into<Cow<'static, str>>) -> Endpoint
    where
        Self: Handler<M>,
    {
        Endpoint { name: Some(name.into()), ..self.into_endpoint() }
    }
    /// What the route is worth in an overload: the lower classes are shed first. Default: that of its group, else
    /// what [`App::classify`](crate::App::classify) says, else [`Priority::Critical`].
    fn priority(self, priority: Priority) -> Endpoint
    where
        Self: Handler<M>,
    {
        let mut endpoint = self.into_endpoint();
        endpoint.guard.priority = Some(priority);
        endpoint
    }
    /// Until when the route must have answered, from the arrival of its requests, in place of the deadline that is
    /// configured for all ([`AdmissionConfig::deadline`](crate::AdmissionConfig)): a 504 then. It may be longer; a
    /// caller that gives less time keeps that. In contrast, a [`timeout`](RouteOptions::timeout) only ever makes the
    /// time shorter, and counts from where it stands.
    fn deadline(self, limit: Duration) -> Endpoint
    where
        Self: Handler<M>,
    {
        let mut endpoint = self.into_endpoint();
        endpoint.guard.deadline = Some(limit);
        endpoint
    }
    /// Lets the route's requests pass by admission: they never wait and are never refused, whatever there is to do. For
    /// health checks, and for nothing that costs more than they do.
    fn bypass_admission(self) -> Endpoint
    where
        Self: Handler<M>,
    {
        let mut endpoint = self.into_endpoint();
        endpoint.guard.bypasses = true;
        endpoint
    }
    /// Says what the route is for and what it takes and answers, for [`App::openapi`](crate::App::openapi).
    #[cfg(feature = "openapi")]
    fn doc(self, operation: crate::openapi::Operation) -> Endpoint
    where
        Self: Handler<M>,
    {
        Endpoint { doc: Some(operation), ..self.into_endpoint() }
    }
    /// Runs the handler, and the middleware written behind this, to its end even if the client goes away: for what must
    /// not stop in the middle. It runs on a task of its own ([`Context::spawn_detached`]); the drain waits for it.
    ///
    /// Without it a request ends with its client: the future is dropped where it waits. The request counts as aborted
    /// either way. A [`timeout`](RouteOptions::timeout) outside of this answers 504 and lets the handler run on; one
    /// inside ends it. Of a body that the client broke off the rest is missing here, too.
    fn detached(self) -> Endpoint
    where
        Self: Handler<M>,
    {
        self.with(around(|c, next| async move {
            let inner = c.clone();
            let run = async move { AssertUnwindSafe(next.run(inner)).catch_unwind().await };
            let ran = c.spawn_detached("detached request", run)?.await;
            match ran {
                Ok(answer) => answer.unwrap_or_else(|panic| Err(panicked(&*panic))),
                Err(cut) => Err(Error::internal(cut)),
            }
        }))
    }
    /// Answers 504 once the handler, and the middleware written behind this, took longer than `limit`; their future
    /// is dropped then. Inside, [`Context::deadline`] says so; one that is tighter already stays. It does not cover a
    /// streamed body.
    fn timeout(self, limit: Duration) -> Endpoint
    where
        Self: Handler<M>,
    {
        self.with(around(move |c, next| async move {
            let tightened = c.tighten(limit);
            let end = tightened.deadline().instant();
            let answer = tokio::time::timeout_at(end.into(), next.run(c)).await;
            answer.unwrap_or_else(|_| Err(Error::deadline_exceeded()))
        }))
    }
}

// For whatever has the shape of a handler, so that the methods always exist and rustc can say what else is wrong.
impl<H: Callable<Signature>, Signature, Last> RouteOptions<(Signature, Last)> for H {}
impl RouteOptions<Endpoint> for Endpoint {}

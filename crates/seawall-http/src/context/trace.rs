//! Where a request stands in a distributed trace. Read, or begun, when first asked for.

use super::Context;
use crate::trace::{TRACEPARENT, TraceContext};

impl Context {
    /// The trace that this request belongs to: that of the caller's `traceparent`, or one that begins here. Hand it
    /// on with `c.trace().child().inject(headers)`.
    ///
    /// A caller's id is taken over from anybody: it names lines in a log, and lets nobody in.
    pub fn trace(&self) -> &TraceContext {
        let read = || TraceContext::from_headers(self.headers()).unwrap_or_else(TraceContext::start);
        self.0.trace.get_or_init(|| Box::new(read()))
    }
    /// The id of the trace, 32 hexadecimal digits; see [`Context::trace`].
    pub fn trace_id(&self) -> &str {
        self.trace().trace_id()
    }

    /// The id of the trace, if the caller sent one or somebody asked for it: then it is written somewhere else too,
    /// and worth a place in the log. An id that nobody else has seen would say less than the request's.
    pub(crate) fn known_trace_id(&self) -> Option<&str> {
        if self.0.trace.get().is_none() {
            // The map of headers is made only for those who send one.
            self.field(TRACEPARENT.as_str())?;
            let sent = TraceContext::from_headers(self.headers())?;
            let _ = self.0.trace.set(Box::new(sent)); // somebody may have been faster
        }
        self.0.trace.get().map(|trace| trace.trace_id())
    }
}

//! The guide's chapters, so that their snippets compile and run with the doctests. The programs beside this file are
//! the examples.

/// One empty item per chapter, which carries the chapter as its documentation.
macro_rules! chapters {
    ($($name:ident $file:literal)*) => {
        $(#[doc = include_str!(concat!("../guide/src/", $file))]
        pub mod $name {})*
    };
}

chapters! {
    first_service "first-service.md"
    routing "routing.md"
    binding "binding.md"
    errors "errors.md"
    middleware "middleware.md"
    testing "testing.md"
    files "files.md"
    websocket_and_sse "websocket-and-sse.md"
    tasks "tasks.md"
    calling_other_services "calling-other-services.md"
    openapi "openapi.md"
    tls "tls.md"
    behind_a_proxy "behind-a-proxy.md"
    timeouts_and_limits "timeouts-and-limits.md"
    live_configuration "live-configuration.md"
    overload "overload.md"
    rate_limits "rate-limits.md"
    shutdown_and_restarts "shutdown-and-restarts.md"
    load_testing "load-testing.md"
    profiling "profiling.md"
    finding_the_knee "finding-the-knee.md"
    diagnosing "diagnosing.md"
    lab_for_any_service "lab-for-any-service.md"
    reading_the_report "reading-the-report.md"
    comparing_builds "comparing-builds.md"
    gates_in_ci "gates-in-ci.md"
    coming_from_echo "coming-from-echo.md"
    coming_from_axum "coming-from-axum.md"
    coming_from_wrk "coming-from-wrk.md"
}

//! The numbers of a registry as Prometheus text, format 0.0.4. The only place that knows this format.
//!
//! Pure: families in, text out. A timer becomes a histogram with cumulative buckets. Names and units are the
//! registry's; nothing is renamed here.

use std::fmt::Write as _;

use seawall_core::metrics::{Family, Kind, Sample, TIMER_BOUNDS_SECONDS, TimerSnapshot, Value};

use crate::ProcessUsage;

/// The media type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All families as text, in the order given.
pub fn text(families: &[Family]) -> String {
    let mut out = String::with_capacity(families.len() * 256);
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Timer => "histogram",
        };
        head(&mut out, family.name, family.help, kind);
        family.samples.iter().for_each(|sample| write_sample(&mut out, family.name, sample));
    }
    out
}

/// The process itself, under the names that Prometheus users know.
pub fn process_text(usage: &ProcessUsage) -> String {
    let mut out = String::with_capacity(1_024);
    let cpu = usage.cpu_user_s + usage.cpu_sys_s;
    head(&mut out, "process_cpu_seconds_total", "CPU time used, in seconds.", "counter");
    push(&mut out, format_args!("process_cpu_seconds_total {cpu}\n"));
    let switches =
        [("voluntary", usage.ctx_switches_voluntary), ("involuntary", usage.ctx_switches_involuntary)];
    head(&mut out, "process_context_switches_total", "Times a thread left its core.", "counter");
    for (kind, count) in switches {
        push(&mut out, format_args!("process_context_switches_total{{kind=\"{kind}\"}} {count}\n"));
    }
    let gauges = [
        ("process_resident_memory_bytes", "Memory in RAM, in bytes.", usage.rss_bytes),
        ("process_open_fds", "Open files and sockets.", usage.open_fds),
        ("process_threads", "Threads.", usage.threads),
    ];
    for (name, help, value) in gauges {
        head(&mut out, name, help, "gauge");
        push(&mut out, format_args!("{name} {value}\n"));
    }
    out
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    push(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn write_sample(out: &mut String, name: &str, sample: &Sample) {
    let labels = labels(&sample.labels);
    match &sample.value {
        Value::Counter(value) => push(out, format_args!("{name}{} {value}\n", braces(&labels))),
        Value::Gauge(value) => push(out, format_args!("{name}{} {value}\n", braces(&labels))),
        Value::Timer(timer) => write_histogram(out, name, &labels, timer),
    }
}

/// The last bucket is `+Inf`, and the count is read off it, so that the two agree whatever arrived meanwhile.
fn write_histogram(out: &mut String, name: &str, labels: &str, timer: &TimerSnapshot) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut so_far = 0;
    for (at, count) in timer.buckets.iter().enumerate() {
        so_far += count;
        let bound = TIMER_BOUNDS_SECONDS.get(at).map_or_else(|| "+Inf".to_owned(), f64::to_string);
        push(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {so_far}\n"));
    }
    let braced = braces(labels);
    push(out, format_args!("{name}_sum{braced} {}\n{name}_count{braced} {so_far}\n", timer.sum_seconds));
}

fn labels(labels: &[(&'static str, String)]) -> String {
    let escape = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let each = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value)));
    each.collect::<Vec<_>>().join(",")
}

fn braces(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use seawall_core::metrics::Registry;

    use super::*;

    /// Registers something and checks the whole text.
    #[track_caller]
    fn check(register: impl FnOnce(&Registry), expected: &str) {
        let registry = Registry::new();
        register(&registry);
        assert_eq!(text(&registry.snapshot()), expected);
    }

    #[test]
    fn nothing_registered_is_nothing_said() {
        check(|_| {}, "");
    }

    #[test]
    fn families_come_by_name_with_help_and_type() {
        let register = |registry: &Registry| {
            registry.gauge("b_depth", "Depth.", &[]).set(-3);
            registry.counter("a_total", "Hits.", &[("cache", "x"), ("found", "hit")]).add(7);
            registry.counter("a_total", "Hits.", &[("cache", "y"), ("found", "hit")]).add(1);
        };
        let expected = "\
# HELP a_total Hits.
# TYPE a_total counter
a_total{cache=\"x\",found=\"hit\"} 7
a_total{cache=\"y\",found=\"hit\"} 1
# HELP b_depth Depth.
# TYPE b_depth gauge
b_depth -3
";
        check(register, expected);
    }

    #[test]
    fn odd_label_values_cannot_break_out() {
        let register = |registry: &Registry| {
            registry.gauge("a", "A\nb\\c.", &[("l", "x\"} 9\n\\")]).set(1);
        };
        check(register, "# HELP a A\\nb\\\\c.\n# TYPE a gauge\na{l=\"x\\\"} 9\\n\\\\\"} 1\n");
    }

    #[test]
    fn a_timer_is_a_cumulative_histogram() {
        let registry = Registry::new();
        let timer = registry.timer("t_seconds", "T.", &[("route", "/a")]);
        for millis in [1, 2, 2, 60_000] {
            timer.observe(Duration::from_millis(millis));
        }
        let text = text(&registry.snapshot());
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2 + TIMER_BOUNDS_SECONDS.len() + 1 + 2);
        assert_eq!(lines[1], "# TYPE t_seconds histogram");
        assert_eq!(lines[2], "t_seconds_bucket{route=\"/a\",le=\"0.0001\"} 0");
        assert!(lines.contains(&"t_seconds_bucket{route=\"/a\",le=\"0.001\"} 1"), "{text}");
        assert!(lines.contains(&"t_seconds_bucket{route=\"/a\",le=\"0.0025\"} 3"), "{text}");
        assert!(lines.contains(&"t_seconds_bucket{route=\"/a\",le=\"10\"} 3"), "{text}");
        assert!(lines.contains(&"t_seconds_bucket{route=\"/a\",le=\"+Inf\"} 4"), "{text}");
        assert!(lines.contains(&"t_seconds_sum{route=\"/a\"} 60.005"), "{text}");
        assert!(lines.contains(&"t_seconds_count{route=\"/a\"} 4"), "{text}");
    }

    #[test]
    fn a_timer_without_labels_has_no_stray_comma() {
        let registry = Registry::new();
        let _ = registry.timer("t_seconds", "T.", &[]);
        let text = text(&registry.snapshot());
        assert!(
            text.contains("t_seconds_bucket{le=\"+Inf\"} 0\nt_seconds_sum 0\nt_seconds_count 0\n"),
            "{text}"
        );
    }

    #[test]
    fn the_process_has_its_usual_names() {
        let usage = ProcessUsage {
            cpu_user_s: 1.5,
            cpu_sys_s: 0.5,
            rss_bytes: 4_096,
            ctx_switches_voluntary: 3,
            ctx_switches_involuntary: 4,
            threads: 5,
            open_fds: 6,
        };
        let text = process_text(&usage);
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "process_cpu_seconds_total 2",
            "process_context_switches_total{kind=\"voluntary\"} 3",
            "process_context_switches_total{kind=\"involuntary\"} 4",
            "process_resident_memory_bytes 4096",
            "process_open_fds 6",
            "process_threads 5",
        ];
        assert_eq!(samples, expected);
    }
}

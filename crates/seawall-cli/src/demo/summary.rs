//! The result as JSON with stable names, and as a few lines for the terminal.

use std::collections::BTreeMap;
use std::path::Path;

use seawall_lab::compare::Outcome;
use seawall_lab::diagnose::Cause;
use seawall_lab::report::Report;
use serde::Serialize;

use crate::load::count;

/// The demo's result. These names are an interface: scripts and CI read them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Summary {
    /// Highest rate that held the objective, requests per second; none if no rate did.
    knee_rps: Option<f64>,
    /// Lowest rate that broke it; none if `knee_rps` is only a lower bound.
    knee_upper_rps: Option<f64>,
    /// Whether the knee phase counts.
    knee_valid: bool,
    /// 99th percentile of browsing at the knee, milliseconds.
    browse_p99_ms: Option<f64>,
    orders_acked: u64,
    orders_confirmed: u64,
    orders_rejected: u64,
    units_initial: u64,
    units_sold: u64,
    oversold: u64,
    lost: u64,
    duplicated: u64,
    /// (5xx + transport errors - deliberate 503) / attempts, in the sale.
    error_rate: f64,
    /// Deliberate refusals / attempts, in the sale.
    refused_rate: f64,
    /// Whether the sale phase counts.
    sale_valid: bool,
    /// Why it does not.
    sale_invalid_because: Vec<String>,
    checker: BTreeMap<String, &'static str>,
    /// The first cause that the lab named for the planted fault; none without the cycle.
    cycle_cause: Option<Cause>,
    /// What came of comparing the service with the fault and without it.
    cycle_outcome: Option<Outcome>,
    /// Wall time of the demo, seconds.
    duration_s: f64,
    report_path: String,
}

impl Summary {
    /// Picks the summary out of the report that was written to `path`.
    pub(super) fn of(report: &Report, path: &Path) -> Self {
        let knee = report.knee.as_ref();
        let sale = report.sale.clone().unwrap_or_default();
        let pass = |pass: bool| if pass { "pass" } else { "fail" };
        Self {
            knee_rps: knee.and_then(|knee| knee.lo_rps),
            knee_upper_rps: knee.and_then(|knee| knee.hi_rps),
            knee_valid: knee.is_some_and(|knee| knee.validity.valid),
            browse_p99_ms: knee.and_then(|knee| knee.at_knee.as_ref()?.intended_ms(0.99)),
            orders_acked: sale.orders_acked,
            orders_confirmed: sale.orders_confirmed,
            orders_rejected: sale.orders_rejected,
            units_initial: sale.units_initial,
            units_sold: sale.units_sold,
            oversold: sale.oversold,
            lost: sale.lost,
            duplicated: sale.duplicated,
            error_rate: sale.error_rate,
            refused_rate: sale.refused_rate,
            sale_valid: sale.validity.valid,
            sale_invalid_because: sale.validity.reasons,
            checker: report.checks.iter().map(|check| (check.name.clone(), pass(check.pass))).collect(),
            cycle_cause: report
                .cycle
                .as_ref()
                .and_then(|cycle| Some(cycle.diagnosis.findings.first()?.cause)),
            cycle_outcome: report.cycle.as_ref().map(|cycle| cycle.comparison.outcome),
            duration_s: report.duration_s,
            report_path: path.display().to_string(),
        }
    }

    /// 0 when all is well, 1 when the checker failed, 4 when the sale did not count.
    pub(super) fn exit_code(&self) -> u8 {
        if self.checker.is_empty() || self.checker.values().any(|result| *result != "pass") {
            1
        } else if !self.sale_valid {
            4
        } else {
            0
        }
    }

    /// The lines for the terminal.
    pub(super) fn lines(&self) -> Vec<String> {
        let whole = |number: u64| count(number as f64);
        let number = |x: Option<f64>| x.map_or_else(|| "?".to_owned(), count);
        let knee = match (self.knee_rps, self.knee_upper_rps) {
            (Some(_), Some(_)) => {
                format!("{} to {} requests/s", number(self.knee_rps), number(self.knee_upper_rps))
            }
            (Some(_), None) => format!("at least {} requests/s", number(self.knee_rps)),
            (None, _) => "not found".to_owned(),
        };
        let p99 = self.browse_p99_ms.map_or_else(String::new, |ms| format!(", p99 {ms:.1} ms there"));
        let kept = self.checker.values().filter(|result| **result == "pass").count();
        let failed: Vec<&str> =
            self.checker.iter().filter(|c| *c.1 != "pass").map(|c| c.0.as_str()).collect();
        let verdict =
            if failed.is_empty() { String::new() } else { format!(": {} FAILED", failed.join(", ")) };
        let mut lines = vec![
            format!("knee       {knee}{p99}"),
            format!(
                "sold       {} of {} units, oversold {}",
                whole(self.units_sold),
                whole(self.units_initial),
                self.oversold
            ),
            format!(
                "orders     {} acknowledged, {} confirmed, {} rejected; lost {}, duplicated {}",
                whole(self.orders_acked),
                whole(self.orders_confirmed),
                whole(self.orders_rejected),
                self.lost,
                self.duplicated
            ),
            format!(
                "errors     {:.4} %, refused {:.1} %",
                self.error_rate * 100.0,
                self.refused_rate * 100.0
            ),
            format!("checker    {kept} of {} promises kept{verdict}", self.checker.len()),
            format!("report     {}  ({:.0} s in all)", self.report_path, self.duration_s),
        ];
        if !self.sale_valid {
            lines.push(format!(
                "INVALID    the sale does not count: {}",
                self.sale_invalid_because.join("; ")
            ));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_lab::report::{Check, Sale, Validity};
    use seawall_lab::search::Slo;

    fn summary(pass: bool, valid: bool) -> Summary {
        let check = |name: &str, pass| Check {
            name: name.into(),
            pass,
            meaning: String::new(),
            detail: String::new(),
        };
        let sale = Sale {
            units_initial: 50,
            units_sold: 50,
            validity: Validity { valid, reasons: vec!["generator late".into()] },
            ..Sale::default()
        };
        let report = Report {
            title: String::new(),
            generated_at: String::new(),
            generator: String::new(),
            command: String::new(),
            duration_s: 1.0,
            slo: Slo::default(),
            knee: None,
            resources: None,
            sale: Some(sale),
            cycle: None,
            checks: vec![check("no_oversell", true), check("no_lost_order", pass)],
            environment: vec![],
        };
        Summary::of(&report, Path::new("r.html"))
    }

    fn check(pass: bool, valid: bool, code: u8) {
        assert_eq!(summary(pass, valid).exit_code(), code);
    }
    #[test]
    fn all_well_is_0() {
        check(true, true, 0);
    }
    #[test]
    fn a_failed_checker_is_1() {
        check(false, true, 1);
    }
    #[test]
    fn an_invalid_sale_is_4() {
        check(true, false, 4);
    }
    #[test]
    fn a_failed_checker_outranks_an_invalid_sale() {
        check(false, false, 1);
    }

    #[test]
    fn the_json_has_the_agreed_names() {
        let json = serde_json::to_value(summary(false, true)).unwrap();
        let names = [
            "knee_rps",
            "browse_p99_ms",
            "orders_acked",
            "orders_confirmed",
            "orders_rejected",
            "units_initial",
            "units_sold",
            "oversold",
            "lost",
            "duplicated",
            "error_rate",
            "refused_rate",
            "checker",
            "report_path",
        ];
        assert!(names.iter().all(|name| json.get(name).is_some()), "{json}");
        assert_eq!(json["checker"], serde_json::json!({ "no_oversell": "pass", "no_lost_order": "fail" }));
    }

    #[test]
    fn the_lines_name_what_failed() {
        let text = summary(false, false).lines().join("\n");
        assert!(text.contains("no_lost_order FAILED") && text.contains("INVALID"), "{text}");
    }
}

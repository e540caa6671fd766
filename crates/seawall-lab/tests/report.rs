//! The report, looked at in a real browser and read as text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod sample;

use browser::{Look, write};
use seawall_lab::report::{Report, html};

const LOOK: Look = Look { name: "report", least: 60_000 };

#[test]
fn looks_right_on_a_desktop() {
    LOOK.on_a_desktop(&html(&sample::report()), "light", 3900);
}
#[test]
fn looks_right_on_a_desktop_in_the_dark() {
    LOOK.on_a_desktop(&html(&sample::report()), "dark", 3900);
}
#[test]
fn looks_right_on_a_phone() {
    LOOK.on_a_phone(&html(&sample::report()), 6900);
}

/// Every figure has its drawings, every drawing has marks, and the script took them all over.
#[test]
fn every_chart_is_drawn_and_alive() {
    let dir = tempfile::tempdir().unwrap();
    let page = write(dir.path(), &html(&sample::report()));
    let dom = browser::dom(&page, 1280);
    let figures: Vec<&str> = dom.split("<figure ").skip(1).collect();
    assert_eq!(figures.len(), 14);
    assert!(dom.contains("data-ready=\"14\""), "the script runs to its end");
    for figure in figures {
        let figure = figure.split("</figure>").next().unwrap();
        let drawings: Vec<&str> = figure.split("<svg ").skip(1).collect();
        assert!(drawings.len() >= 2, "one drawing per class of width: {}", &figure[..120]);
        for drawing in drawings {
            let paths: Vec<&str> = drawing.split(" d=\"").skip(1).collect();
            assert!(!paths.is_empty(), "no marks in {}", &drawing[..200]);
            assert!(paths.iter().all(|d| d.starts_with('M') && d.len() > 8 && !d.contains("NaN")));
        }
    }
}

/// Appends a script to the page and returns what it wrote into the title.
fn ask(script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let page = html(&sample::report());
    let page = page.replace(
        "</body>",
        &format!("<script>document.title = String((() => {{ {script} }})());</script></body>"),
    );
    let dom = browser::dom(&write(dir.path(), &page), 1280);
    dom.split("<title>").nth(1).unwrap().split("</title>").next().unwrap().to_owned()
}

const POINT: &str = "const point = (svg, type, x) => { const b = svg.getBoundingClientRect(); \
    svg.dispatchEvent(new PointerEvent(type, { clientX: b.left + b.width * x, clientY: b.top + b.height / 2, \
    pointerId: 1, button: 0, bubbles: true })); }; SVGElement.prototype.setPointerCapture = () => {};";

#[test]
fn pointing_at_a_chart_reads_out_its_values_in_all_charts_of_the_group() {
    let script = "const svg = document.querySelector('#chart-throughput .v-wide'); point(svg, 'pointermove', 0.5); \
        return [document.querySelector('#chart-throughput .tip').textContent, \
        document.querySelectorAll('#chart-latency .v-wide .cross-dot').length].join('|');";
    let answer = ask(&format!("{POINT}{script}"));
    assert!(answer.contains("answered") && answer.contains("offered") && answer.contains("/s"), "{answer}");
    assert!(answer.ends_with("|2"), "the latency chart marks p50 and p99: {answer}");
}

#[test]
fn dragging_zooms_and_the_button_shows_all_again() {
    let script = "const svg = document.querySelector('#chart-cpu .v-middle'); const see = () => \
        svg.querySelector('.marks').getAttribute('transform') || 'all'; \
        const texts = () => [...svg.querySelectorAll('.axis text')].filter((t) => t.getBoundingClientRect().width).length; \
        const before = see(); point(svg, 'pointerdown', 0.3); point(svg, 'pointermove', 0.5); point(svg, 'pointerup', 0.5); \
        const during = see(), other = document.querySelector('#chart-memory .v-middle .marks').getAttribute('transform'); \
        const ticks = texts(); document.querySelector('#chart-cpu .unzoom').click(); \
        return [before, during, other.startsWith('translate('), ticks > 4, see()].join('|');";
    let answer = ask(&format!("{POINT}{script}"));
    let parts: Vec<&str> = answer.split('|').collect();
    assert!(parts[1].starts_with("translate("), "{answer}");
    assert_eq!((parts[0], parts[2], parts[3], parts[4]), ("all", "true", "true", "all"), "{answer}");
}

#[test]
fn no_two_labels_of_a_chart_overlap() {
    let script = "const bad = []; for (const svg of document.querySelectorAll('.chart-svg')) { \
        const texts = [...svg.querySelectorAll('text')].map((t) => [t.textContent, t.getBoundingClientRect()]).filter((t) => t[1].width); \
        for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) { const a = texts[i][1], b = texts[j][1]; \
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) \
        bad.push(svg.closest('figure').id + ': ' + texts[i][0] + ' / ' + texts[j][0]); } } return bad.join('; ') || 'none';";
    assert_eq!(ask(script), "none");
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &html(&sample::report()));
    let frame = "<!DOCTYPE html><title>wait</title><iframe id=f src=report.html style=\"width:420px;height:900px;border:0\">\
        </iframe><script>onload = () => { const d = f.contentDocument.documentElement; \
        document.title = d.scrollWidth + ' of ' + d.clientWidth; };</script>";
    let page = dir.path().join("frame.html");
    // Scripts of a framed file may look at it only when both come from one document, hence srcdoc.
    let inner = html(&sample::report()).replace('&', "&amp;").replace('"', "&quot;");
    std::fs::write(&page, frame.replace("src=report.html", &format!("srcdoc=\"{inner}\""))).unwrap();
    let dom = browser::dom(&page, 1280);
    assert!(dom.contains("<title>420 of 420</title>"), "{}", &dom[..400]);
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "</script><script>console.error('owned')</script><img src=x onerror=alert(1)>\"'&";
    let mut report = sample::report();
    report.title = evil.into();
    report.command = evil.into();
    report.checks[0].detail = evil.into();
    report.environment[0].value = evil.into();
    if let Some(knee) = &mut report.knee {
        knee.target = evil.into();
        knee.probes[0].reasons = vec![evil.into()];
    }
    if let Some(resources) = &mut report.resources {
        resources.queues[0].name = evil.into();
        resources.phases[1].name = evil.into();
    }
    let page = html(&report);
    assert!(!page.contains("<img") && !page.contains("<script>console"));
    let dir = tempfile::tempdir().unwrap();
    let dom = browser::dom(&write(dir.path(), &page), 1280);
    assert!(dom.contains("data-ready=\"14\""), "the script still runs");
}

#[test]
fn the_page_needs_nothing_from_outside() {
    let page = html(&sample::report());
    for word in ["http://", "https://", "@import", "url(http", "src="] {
        let found = page.replace("http://www.w3.org/2000/svg", "").contains(word);
        assert!(!found, "the page mentions {word}");
    }
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn the_data_inside_is_the_report() {
    let report = sample::report();
    let page = html(&report);
    let json = page.split("id=\"report-data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let inside: Report = serde_json::from_str(json).unwrap();
    assert!(inside.checks == report.checks && inside.environment == report.environment);
    let probes = |report: &Report| report.knee.as_ref().unwrap().probes.len();
    assert_eq!(probes(&inside), probes(&report));
    assert_eq!(json, serde_json::to_string(&report).unwrap(), "nothing in this sample needs an escape");
}

#[test]
fn the_same_report_gives_the_same_page() {
    assert_eq!(html(&sample::report()), html(&sample::report()));
}

fn banner(change: impl FnOnce(&mut Report)) -> String {
    let mut report = sample::report();
    change(&mut report);
    let page = html(&report);
    page.split("<section class=\"banner ").nth(1).unwrap().split("</section>").next().unwrap().to_owned()
}

#[test]
fn a_good_run_says_so() {
    let banner = banner(|_| {});
    assert!(banner.starts_with("good") && banner.contains("8 of 8 promises kept"), "{banner}");
}
#[test]
fn a_failed_check_is_the_headline() {
    let banner = banner(|report| report.checks[0].pass = false);
    assert!(banner.starts_with("bad") && banner.contains("A promise was broken: no_oversell"), "{banner}");
}
#[test]
fn an_invalid_sale_does_not_look_like_success() {
    let banner = banner(|report| {
        let sale = report.sale.as_mut().unwrap();
        sale.validity =
            seawall_lab::report::Validity { valid: false, reasons: vec!["generator late".into()] };
    });
    assert!(banner.starts_with("unsure") && banner.contains("generator late"), "{banner}");
}
#[test]
fn a_lower_bound_is_called_one() {
    let banner = banner(|report| {
        let knee = report.knee.as_mut().unwrap();
        (knee.hi_rps, knee.validity.valid, knee.attempts) = (None, false, 3);
    });
    assert!(banner.contains("a lower bound") && banner.contains("after 3 attempts"), "{banner}");
}

/// Parts that were not run leave their sections out, and the page is still a page.
#[test]
fn an_empty_report_is_still_a_page() {
    let mut report = sample::report();
    (report.knee, report.resources, report.sale) = (None, None, None);
    report.checks.clear();
    let page = html(&report);
    assert!(!page.contains("<figure") && page.contains("Nothing was checked"));
    let dir = tempfile::tempdir().unwrap();
    assert!(browser::dom(&write(dir.path(), &page), 1280).contains("data-ready=\"0\""));
}

#[test]
fn a_run_without_samples_says_so_in_its_charts() {
    let mut report = sample::report();
    if let Some(resources) = &mut report.resources {
        resources.queues.clear();
        resources.samples.clear();
    }
    assert!(html(&report).contains("Nothing was recorded here."));
}

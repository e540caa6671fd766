//! The lab's report, looked at in a real browser and read as text.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod lab_sample;

use browser::{Look, write};
use seawall_lab::report::lab::{Collected, LabReport, lab_html};

/// Drawn charts of the sample: load, heat, spectrum, knee, scaling, four gauges.
const CHARTS: usize = 9;
/// Strips and flame graphs of the sample.
const OTHERS: &str = "6 4";

const LOOK: Look = Look { name: "lab-report", least: 150_000 };

#[test]
fn looks_right_on_a_desktop() {
    LOOK.on_a_desktop(&lab_html(&lab_sample::report()), "light", 10_400);
}
#[test]
fn looks_right_on_a_desktop_in_the_dark() {
    LOOK.on_a_desktop(&lab_html(&lab_sample::report()), "dark", 10_400);
}
#[test]
fn looks_right_on_a_phone() {
    LOOK.on_a_phone(&lab_html(&lab_sample::report()), 15_500);
}

/// Every figure has its drawings, every drawing has marks, and the script took them all over.
#[test]
fn every_chart_is_drawn_and_alive() {
    let dir = tempfile::tempdir().unwrap();
    let dom = browser::dom(&write(dir.path(), &lab_html(&lab_sample::report())), 1280);
    assert!(dom.contains(&format!("data-ready=\"{CHARTS}\"")), "the first script runs to its end");
    assert!(dom.contains(&format!("data-lab=\"{OTHERS}\"")), "the second script runs to its end");
    for drawing in dom.split("<svg class=\"chart-svg").skip(1) {
        let drawing = drawing.split("</svg>").next().unwrap();
        let paths: Vec<&str> = drawing.split(" d=\"").skip(1).collect();
        assert!(!paths.is_empty(), "no marks in {}", &drawing[..200]);
        assert!(paths.iter().all(|d| d.starts_with('M') && d.len() > 8 && !d.contains("NaN")));
    }
}

#[test]
fn all_fourteen_sections_are_there_in_order() {
    let page = lab_html(&lab_sample::report());
    let ids = [
        "verdict",
        "load",
        "heat",
        "spectrum",
        "limits",
        "waterfall",
        "use",
        "threads",
        "flames",
        "gauges",
        "kernel",
        "diagnosis",
        "comparison",
        "tables",
    ];
    let places: Vec<usize> =
        ids.iter().map(|id| page.find(&format!(" id=\"{id}\"")).unwrap_or_else(|| panic!("{id}"))).collect();
    assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
    assert!(!page.contains("Not collected"), "the sample has everything");
}

/// A section without data says why in one line instead of showing an empty chart.
#[test]
fn what_was_not_collected_says_why() {
    let page = lab_html(&lab_sample::empty());
    assert_eq!(page.matches("Not collected: this command does not look at it.").count(), 12);
    assert!(!page.contains("<figure"), "no empty chart");
    let dir = tempfile::tempdir().unwrap();
    assert!(browser::dom(&write(dir.path(), &page), 1280).contains("data-lab=\"0 0\""));
}

/// Appends a script to the page and returns what it wrote into the title.
fn ask(script: &str) -> String {
    ask_of(&lab_sample::report(), script)
}

fn ask_of(report: &LabReport, script: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let page = lab_html(report);
    let page = page.replace(
        "</body>",
        &format!("<script>document.title = String((() => {{ {script} }})());</script></body>"),
    );
    let dom = browser::dom(&write(dir.path(), &page), 1280);
    dom.split("<title>").nth(1).unwrap().split("</title>").next().unwrap().to_owned()
}

const POINT: &str = "const point = (el, type, x, y = 0.5) => { const b = el.getBoundingClientRect(); \
    el.dispatchEvent(new PointerEvent(type, { clientX: b.left + b.width * x, clientY: b.top + b.height * y, \
    pointerId: 1, button: 0, bubbles: true })); }; SVGElement.prototype.setPointerCapture = () => {};";

#[test]
fn pointing_at_the_heat_map_reads_out_percentiles_and_the_cell_and_marks_the_strips() {
    let script = "const svg = document.querySelector('#chart-heat .v-wide'); point(svg, 'pointermove', 0.6, 0.6); \
        return [document.querySelector('#chart-heat .tip').textContent, document.querySelectorAll('.strip-line').length, \
        document.querySelectorAll('#chart-load .v-wide .cross').length].join('|');";
    let answer = ask(&format!("{POINT}{script}"));
    assert!(answer.contains("p99.9") && answer.contains("p50") && answer.contains("requests"), "{answer}");
    assert!(answer.ends_with("|6|1"), "all strips and the load chart show the same moment: {answer}");
}

#[test]
fn pointing_at_a_strip_reads_out_its_cell_and_marks_the_charts() {
    let script = "const svg = document.querySelectorAll('#strip-use .strip-svg')[2]; point(svg, 'pointermove', 0.45); \
        return [document.querySelector('#strip-use .tip').textContent, \
        document.querySelectorAll('#chart-heat .v-wide .cross').length].join('|');";
    let answer = ask(&format!("{POINT}{script}"));
    assert!(
        answer.starts_with("pool sql.read") && answer.contains("% used") && answer.ends_with("|1"),
        "{answer}"
    );
}

#[test]
fn dragging_zooms_charts_and_strips_and_the_button_shows_all_again() {
    let script = "const svg = document.querySelector('#chart-heat .v-wide'); const strip = document.querySelector('.strip-svg'); \
        const see = () => [svg.querySelector('.marks').getAttribute('transform') || 'all', strip.getAttribute('viewBox')].join(' / '); \
        const before = see(); point(svg, 'pointerdown', 0.3); point(svg, 'pointermove', 0.5); point(svg, 'pointerup', 0.5); \
        const during = see(), load = document.querySelector('#chart-load .v-wide .marks').getAttribute('transform'); \
        document.querySelector('#chart-heat .unzoom').click(); return [before, during, load.startsWith('translate('), see()].join('|');";
    let answer = ask(&format!("{POINT}{script}"));
    let parts: Vec<&str> = answer.split('|').collect();
    assert!(parts[1].starts_with("translate(") && !parts[1].contains("/ 0 0 200 1"), "{answer}");
    assert_eq!((parts[0], parts[2], parts[3]), ("all / 0 0 200 1", "true", "all / 0 0 200 1"), "{answer}");
}

/// The zoom of a chart may lie where a strip saw nothing.
#[test]
fn a_strip_outside_of_the_zoom_is_empty_and_no_error() {
    let mut report = lab_sample::report();
    report.phases.retain(|phase| phase.end_s < 50.0);
    if let Collected::Data(signals) = &mut report.signals {
        signals.resources.iter_mut().for_each(|one| {
            one.utilisation.retain(|point| point.0 > 80.0);
            one.saturation.clear();
            one.errors.clear();
        });
        signals.threads.iter_mut().for_each(|thread| thread.points.retain(|point| point.t_s > 80.0));
        signals.phases.clear();
    }
    let script = "const svg = document.querySelector('#chart-heat .v-wide'); const strip = document.querySelector('.strip-svg'); \
        point(svg, 'pointerdown', 0.1); point(svg, 'pointermove', 0.3); point(svg, 'pointerup', 0.3); \
        return strip.getAttribute('viewBox');";
    assert_eq!(ask_of(&report, &format!("{POINT}{script}")), "200 0 1 1");
}

#[test]
fn a_click_on_a_flame_makes_it_the_whole_and_the_button_undoes_it() {
    let script = "const boxes = [...document.querySelectorAll('#flame-0 .flame-boxes i')]; \
        const one = boxes.find((b) => parseFloat(b.style.top) === 57); const before = one.style.width; one.click(); \
        const during = one.style.width, hidden = boxes.filter((b) => b.hidden).length > 0; \
        document.querySelector('#flame-0 .unflame').click(); \
        return [parseFloat(before) < 60, during, hidden, one.style.width === before, boxes.some((b) => b.hidden)].join('|');";
    assert_eq!(ask(script), "true|100%|true|true|false");
}

/// What differs between two profiles is coloured, and what is gone is at least named.
#[test]
fn a_difference_of_two_profiles_is_coloured_both_ways_and_named() {
    let script = "const flame = document.querySelector('#flame-diff1'); const has = (c) => flame.querySelectorAll('[class^=' + c + ']').length > 0; \
        const table = flame.nextElementSibling; table.open = true; const row = table.querySelector('tbody tr'); \
        return [has('more'), has('less'), flame.querySelector('h3').textContent, table.querySelectorAll('th')[1].textContent, \
        row.lastElementChild.textContent.endsWith(' points'), row.getBoundingClientRect().height > 10].join('|');";
    assert_eq!(ask(script), "true|true|CPU, eight readers against one reader|one reader|true|true");
}

/// Each of two builds has its own strips, and a table of what differs, with intervals.
#[test]
fn signals_of_two_builds_are_drawn_side_by_side_and_what_differs_is_listed() {
    let script = "const rows = (id) => document.querySelectorAll('#strip-' + id + ' .strip-svg path').length > 0; \
        const first = document.querySelector('#use .differ tbody tr').textContent; \
        return [['use-a0', 'use-b0', 'threads-a0', 'threads-b0'].every(rows), document.querySelector('#strip-use-b0 h3').textContent, \
        first.startsWith('pool sql.read: ')].join('|');";
    assert_eq!(ask(script), "true|Resources of eight readers over time|true");
}

/// Without signals of the whole run, those of the two builds fill the sections, gauges with both in one chart.
#[test]
fn a_comparison_alone_has_resources_threads_and_gauges_of_both() {
    let mut report = lab_sample::report();
    report.signals = Collected::Missing("nobody looked".into());
    let dir = tempfile::tempdir().unwrap();
    let dom = browser::dom(&write(dir.path(), &lab_html(&report)), 1280);
    assert!(dom.contains("data-lab=\"4 4\"") && dom.contains(&format!("data-ready=\"{CHARTS}\"")));
    assert!(!dom.contains("Not collected: nobody looked"), "there is something to show");
    let gauge = dom.split("id=\"chart-g0\"").nth(1).unwrap().split("</figure>").next().unwrap();
    assert!(gauge.contains("one reader") && gauge.contains("eight readers"), "both are in the legend");
}

#[test]
fn a_search_in_a_flame_graph_marks_what_it_finds_and_says_how_much() {
    let script = "const flame = document.querySelector('#flame-0'); const input = flame.querySelector('input'); \
        input.value = 'MALLOC'; input.dispatchEvent(new Event('input')); \
        return [flame.querySelectorAll('.found').length > 0, flame.querySelector('output').textContent].join('|');";
    let answer = ask(script);
    assert!(answer.starts_with("true|") && answer.contains("% of the whole"), "{answer}");
}

#[test]
fn no_two_labels_of_a_chart_overlap() {
    let script = "const bad = []; for (const svg of document.querySelectorAll('.chart-svg, .forest-axis, .strip-ticks')) { \
        const texts = [...svg.querySelectorAll('text, i')].map((t) => [t.textContent, t.getBoundingClientRect()]).filter((t) => t[1].width); \
        for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) { const a = texts[i][1], b = texts[j][1]; \
        if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3) \
        bad.push(svg.closest('figure').id + ': ' + texts[i][0] + ' / ' + texts[j][0]); } } return bad.join('; ') || 'none';";
    assert_eq!(ask(script), "none");
}

#[test]
fn nothing_is_wider_than_a_phone() {
    let dir = tempfile::tempdir().unwrap();
    let inner = lab_html(&lab_sample::report()).replace('&', "&amp;").replace('"', "&quot;");
    // Scripts of a framed file may look at it only when both come from one document, hence srcdoc.
    let frame = format!(
        "<!DOCTYPE html><title>wait</title><iframe id=f srcdoc=\"{inner}\" style=\"width:420px;height:900px;border:0\">\
         </iframe><script>onload = () => {{ const d = f.contentDocument.documentElement; \
         document.title = d.scrollWidth + ' of ' + d.clientWidth; }};</script>"
    );
    let page = dir.path().join("frame.html");
    std::fs::write(&page, frame).unwrap();
    let dom = browser::dom(&page, 1280);
    assert!(dom.contains("<title>420 of 420</title>"), "{}", &dom[..400]);
}

#[test]
fn text_from_outside_stays_text() {
    let evil = "</script><script>console.error('owned')</script><img src=x onerror=alert(1)>\"'&";
    let mut report = lab_sample::report();
    (report.title, report.command, report.headline, report.target) =
        (evil.into(), evil.into(), evil.into(), evil.into());
    report.missing = vec![evil.into()];
    report.phases[0].name = evil.into();
    report.endpoints[0].name = evil.into();
    report.errors[0].class = evil.into();
    report.settings[0].value = evil.into();
    if let Collected::Data(spectrum) = &mut report.spectrum {
        spectrum[0].name = evil.into();
    }
    if let Collected::Data(signals) = &mut report.signals {
        signals.resources[0].resource = evil.into();
        signals.threads[0].name = evil.into();
        signals.gauges[0].name = evil.into();
    }
    (report.sides[0].a_name, report.sides[0].differences[0].signal) = (evil.into(), evil.into());
    if let Collected::Data(pairs) = &mut report.differences {
        (pairs[0].name, pairs[0].after_name) = (evil.into(), evil.into());
        pairs[0].after.stacks.iter_mut().for_each(|stack| stack.frames.push(evil.into()));
    }
    if let Collected::Data(profiles) = &mut report.profiles {
        profiles[0].name = evil.into();
        profiles[0].profile.stacks.iter_mut().for_each(|stack| stack.frames[1] = evil.into());
    }
    if let Collected::Data(diagnosis) = &mut report.diagnosis {
        let finding = &mut diagnosis.findings[0];
        (finding.title, finding.sentence, finding.change) = (evil.into(), evil.into(), evil.into());
        finding.experiment.command = Some(evil.into());
        finding.frames[0].function = evil.into();
    }
    if let Collected::Data(comparisons) = &mut report.comparisons {
        (comparisons[0].a_name, comparisons[0].summary) = (evil.into(), evil.into());
    }
    if let Collected::Data(waterfall) = &mut report.waterfall {
        waterfall[0].name = evil.into();
    }
    let page = lab_html(&report);
    assert!(!page.contains("<img") && !page.contains("<script>console"));
    let dir = tempfile::tempdir().unwrap();
    let dom = browser::dom(&write(dir.path(), &page), 1280);
    assert!(dom.contains(&format!("data-lab=\"{OTHERS}\"")), "the scripts still run");
}

#[test]
fn the_page_needs_nothing_from_outside_and_is_small() {
    let page = lab_html(&lab_sample::report());
    let own = ["http://www.w3.org/2000/svg", "http://127.0.0.1:8080"];
    let text = own.iter().fold(page.clone(), |text, known| text.replace(known, ""));
    for word in ["http://", "https://", "@import", "url(http", "src="] {
        assert!(!text.contains(word), "the page mentions {word}");
    }
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

/// The largest run that the lab makes: an hour of load, 32 threads, profiles with as many stacks as are kept.
#[test]
fn a_long_run_with_full_profiles_stays_below_its_limit() {
    let mut report = lab_sample::report();
    if let Collected::Data(points) = &mut report.load {
        let one = points[5].clone();
        *points =
            (0..3600).map(|t| seawall_lab::report::LoadPoint { t_s: f64::from(t), ..one.clone() }).collect();
    }
    if let Collected::Data(columns) = &mut report.heat {
        let one = columns[5].clone();
        *columns = (0..3600)
            .map(|t| seawall_lab::report::lab::HeatColumn { t_s: f64::from(t), ..one.clone() })
            .collect();
    }
    if let Collected::Data(signals) = &mut report.signals {
        let one = signals.threads[0].clone();
        signals.threads = vec![one; 32];
        (report.sides[0].a, report.sides[0].b) = (signals.clone(), signals.clone());
    }
    if let Collected::Data(profiles) = &mut report.profiles {
        for named in profiles {
            let some = named.profile.stacks.clone();
            named.profile.stacks = some
                .iter()
                .cycle()
                .take(5000)
                .cloned()
                .enumerate()
                .map(|(i, mut stack)| {
                    stack.frames.push(format!("a::function::with::a::rather::long::name::number_{i}"));
                    stack
                })
                .collect();
        }
    }
    let page = lab_html(&report);
    assert!(page.len() < 1_500_000, "{} bytes", page.len());
}

#[test]
fn the_data_survives_json() {
    let report = lab_sample::report();
    let back: LabReport = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(back.title, report.title);
    assert_eq!(back.waterfall.data().unwrap().len(), report.waterfall.data().unwrap().len());
    let page = lab_html(&report);
    let json = page.split("id=\"report-data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let inside: LabReport = serde_json::from_str(json).unwrap();
    assert_eq!(inside.diagnosis.data().unwrap().findings.len(), 4);
    assert_eq!(inside.comparisons.data().unwrap()[0].outcome, report.comparisons.data().unwrap()[0].outcome);
}

#[test]
fn the_same_report_gives_the_same_page() {
    assert_eq!(lab_html(&lab_sample::report()), lab_html(&lab_sample::report()));
}

#[test]
fn a_run_that_does_not_count_does_not_look_like_success() {
    let mut report = lab_sample::report();
    report.validity.valid = false;
    report.validity.reasons = vec!["a generator thread was at 97 % CPU".into()];
    let page = lab_html(&report);
    let banner = page.split("<section class=\"banner ").nth(1).unwrap().split("</section>").next().unwrap();
    assert!(
        banner.starts_with("unsure") && banner.contains("does not count") && banner.contains("97 % CPU"),
        "{banner}"
    );
}

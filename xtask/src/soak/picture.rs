//! The picture of a soak: memory and descriptors over time, one above the other, as a file of its own.

use std::fmt::Write as _;

use super::Sample;

const WIDTH: f64 = 900.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 60.0;
const PANEL: f64 = 190.0;
const GAP: f64 = 60.0;

/// One of the two panels.
struct Panel {
    title: &'static str,
    unit: &'static str,
    colour: &'static str,
    top: f64,
    value: fn(&Sample) -> f64,
}

const PANELS: [Panel; 2] = [
    Panel { title: "Resident memory", unit: "MiB", colour: "#1f6feb", top: TOP, value: |s| s.resident_mib },
    Panel {
        title: "Open descriptors",
        unit: "number",
        colour: "#b35900",
        top: TOP + PANEL + GAP,
        value: |s| s.descriptors,
    },
];

/// The picture, as SVG.
pub(super) fn draw(title: &str, samples: &[Sample]) -> String {
    let height = TOP + 2.0 * PANEL + GAP + 50.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"#24292f\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"16\">{}</text>\n",
        escaped(title)
    );
    for panel in &PANELS {
        panel.draw(&mut out, samples);
    }
    out.push_str("</svg>\n");
    out
}

impl Panel {
    fn draw(&self, out: &mut String, samples: &[Sample]) {
        let xs = Axis::new(samples.iter().map(|sample| sample.seconds / 60.0), 8);
        let ys = Axis::new(samples.iter().map(self.value), 5);
        let bottom = self.top + PANEL;
        let x = |minutes: f64| LEFT + (WIDTH - LEFT - RIGHT) * minutes / xs.end;
        let y = |value: f64| bottom - PANEL * value / ys.end;
        for tick in ys.ticks() {
            let at = y(tick);
            let _ = writeln!(
                out,
                "<line x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#d0d7de\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0
            );
        }
        for tick in xs.ticks() {
            let at = x(tick);
            let _ = writeln!(
                out,
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom:.1}\" y2=\"{:.1}\" stroke=\"#57606a\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{tick}</text>",
                bottom + 5.0,
                bottom + 18.0
            );
        }
        let points = samples
            .iter()
            .map(|sample| format!("{:.1},{:.1}", x(sample.seconds / 60.0), y((self.value)(sample))));
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}, {}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">minutes</text>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>",
            self.top - 10.0,
            self.title,
            self.unit,
            WIDTH - RIGHT,
            bottom + 34.0,
            points.collect::<Vec<_>>().join(" "),
            self.colour
        );
    }
}

/// An axis from 0 to a round number above all values.
struct Axis {
    end: f64,
    step: f64,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, ticks: u32) -> Self {
        let highest = values.fold(0.0, f64::max).max(1e-9);
        let rough = highest / f64::from(ticks);
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| *step >= rough);
        let step = step.unwrap_or(10.0 * power);
        Self { end: (highest / step).ceil() * step, step }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + use<> {
        let (step, count) = (self.step, (self.end / self.step).round() as u32);
        // Rounded, or 0.1 + 0.2 would be written with all its digits.
        (0..=count).map(move |number| (f64::from(number) * step * 1e6).round() / 1e6)
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_ends_above_all_values_in_round_steps() {
        let ticks =
            |highest: f64, count| Axis::new([0.0, highest].into_iter(), count).ticks().collect::<Vec<_>>();
        assert_eq!(ticks(9.3, 5), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(76.0, 5), [0.0, 20.0, 40.0, 60.0, 80.0]);
        assert_eq!(ticks(0.3, 3), [0.0, 0.1, 0.2, 0.3]);
    }

    #[test]
    fn a_picture_has_both_lines_with_their_units() {
        let sample = |seconds| Sample { seconds, resident_mib: 7.5, descriptors: 80.0 };
        let svg = draw("a < b", &[sample(0.0), sample(60.0)]);
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert!(svg.contains("MiB") && svg.contains("minutes") && svg.contains("a &lt; b"), "{svg}");
    }
}

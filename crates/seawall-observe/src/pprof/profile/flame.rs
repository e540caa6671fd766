//! The flame graph: one SVG file with everything in it, made here and opened by any browser.
//!
//! A box is a function, its width its share, the box below it its caller. Hovering names it, a click makes it the whole
//! width (a click on the bottom undoes it), the field at the top right marks what contains a text. Without scripts it
//! is still a picture with titles. The order is by name, so that two graphs can be compared by eye.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::Profile;
use super::tree::{Node, tree};

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 58.0;
const FOOT: f64 = 26.0;
/// Boxes narrower than this cannot be seen, nor hit.
const NARROWEST: f64 = 0.25;
/// Of the font at its size, on average.
const LETTER: f64 = 6.6;
/// Deeper boxes are left out; the walkers stop before.
const DEEPEST: usize = 300;

/// The profile's default values as a picture. `title` says what it is of.
pub(crate) fn svg(profile: &Profile, title: &str) -> String {
    let root = tree(profile);
    let levels = root.depth().min(DEEPEST) as f64 + 1.0;
    let height = HEAD + levels * ROW + FOOT;
    let unit = profile.sample_types[profile.default_index()].unit;
    let kernel = profile.functions.iter().filter(|function| function.file == super::KERNEL);
    let kernel = kernel.map(|function| function.name.as_str()).collect();
    let mut picture =
        Picture { out: head(height, title, profile), total: root.value, unit, kernel, height, hidden: 0 };
    picture.node("all", &root, 0, MARGIN, WIDTH - 2.0 * MARGIN);
    picture.finish()
}

struct Picture<'a> {
    out: String,
    total: i64,
    unit: &'static str,
    /// Names that belong to the kernel: they get a colour of their own.
    kernel: HashSet<&'a str>,
    height: f64,
    /// Boxes too narrow to be drawn.
    hidden: u64,
}

impl Picture<'_> {
    fn node(&mut self, name: &str, node: &Node, level: usize, x: f64, width: f64) {
        if width < NARROWEST || level > DEEPEST {
            self.hidden += 1;
            return;
        }
        self.draw(name, node.value, level, x, width);
        let mut x = x;
        for (name, child) in &node.children {
            let share = width * child.value as f64 / node.value.max(1) as f64;
            self.node(name, child, level + 1, x, share);
            x += share;
        }
    }

    fn draw(&mut self, name: &str, value: i64, level: usize, x: f64, width: f64) {
        let y = self.height - FOOT - (level as f64 + 1.0) * ROW;
        let share = 100.0 * value as f64 / self.total.max(1) as f64;
        let value = human(value, self.unit);
        let (title, color) = (escaped(name), self.color(name, level));
        let label = escaped(&fitting(name, width));
        let _ = writeln!(
            self.out,
            "<g data-x=\"{x:.2}\" data-w=\"{width:.2}\"><title>{title} ({value}, {share:.2} %)</title>\
             <rect x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{:.1}\" fill=\"{color}\"/>\
             <text x=\"{:.2}\" y=\"{:.1}\">{label}</text></g>",
            ROW - 1.0,
            x + 3.0,
            y + 12.0,
        );
    }

    /// Warm for the program, cool for the kernel; the hue from the crate, so that a crate is one colour.
    fn color(&self, name: &str, level: usize) -> String {
        if level == 0 {
            return "#d8d8d8".to_owned();
        }
        let krate = name.trim_start_matches(['<', '&']).split("::").next().unwrap_or(name);
        // FNV: any hash will do that is the same tomorrow.
        let hash = |text: &str| {
            text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            })
        };
        if self.kernel.contains(name) {
            return format!("hsl({},45%,{}%)", 195 + hash(name) % 25, 72 + hash(name) % 7);
        }
        format!("hsl({},85%,{}%)", 8 + hash(krate) % 48, 66 + hash(name) % 9)
    }

    fn finish(mut self) -> String {
        let y = self.height - 8.0;
        let hidden = match self.hidden {
            0 => String::new(),
            number => format!(" {number} boxes are too narrow to be drawn."),
        };
        let _ = writeln!(
            self.out,
            "<text id=\"note\" class=\"quiet\" x=\"{MARGIN}\" y=\"{y}\">Total {}.{hidden}</text>",
            human(self.total, self.unit)
        );
        self.out.push_str("<script><![CDATA[\n");
        self.out.push_str(include_str!("flame.js"));
        self.out.push_str("]]></script>\n</svg>\n");
        self.out
    }
}

fn head(height: f64, title: &str, profile: &Profile) -> String {
    let comment = profile.comments.first().map_or_else(String::new, |text| escaped(text));
    let title = escaped(title);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" \
         font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"11\">\n\
         <style>svg{{background:#fff}}g{{cursor:pointer}}text{{fill:#111}}g text{{pointer-events:none}}\
         .quiet{{fill:#555}}g:hover rect{{stroke:#000}}g.marked rect{{fill:#b36ae2}}#find{{cursor:pointer}}</style>\n\
         <text x=\"{MARGIN}\" y=\"22\" font-size=\"16\">{title}</text>\n\
         <text class=\"quiet\" x=\"{MARGIN}\" y=\"40\">{}</text>\n\
         <text id=\"find\" x=\"{}\" y=\"22\" text-anchor=\"end\">search</text>\n",
        fitting(&comment, WIDTH - 2.0 * MARGIN),
        WIDTH - MARGIN,
    )
}

/// As much of a name as fits, its end first left out.
fn fitting(name: &str, width: f64) -> String {
    let room = ((width - 6.0) / LETTER).max(0.0) as usize;
    if name.chars().count() <= room {
        return name.to_owned();
    }
    if room < 3 {
        return String::new();
    }
    name.chars().take(room - 2).chain("..".chars()).collect()
}

fn human(value: i64, unit: &str) -> String {
    let scaled = |steps: &[(f64, &str)]| {
        let number = value as f64;
        let (size, name) = steps.iter().find(|(size, _)| number >= *size).unwrap_or(&steps[steps.len() - 1]);
        format!("{:.2} {name}", number / size)
    };
    match unit {
        "nanoseconds" => scaled(&[(1e9, "s"), (1e6, "ms"), (1e3, "us"), (1.0, "ns")]),
        "bytes" => {
            scaled(&[(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "bytes")])
        }
        unit => format!("{value} {unit}"),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tests::of;
    use super::*;

    #[test]
    fn a_box_is_as_wide_as_its_share() {
        let picture = svg(&of(&[("main;a", 3), ("main;b", 1)]), "cpu");
        assert!(
            picture.contains("data-x=\"10.00\" data-w=\"1180.00\"><title>main (4 count, 100.00 %)"),
            "{picture}"
        );
        assert!(
            picture.contains("data-x=\"10.00\" data-w=\"885.00\"><title>a (3 count, 75.00 %)"),
            "{picture}"
        );
        assert!(
            picture.contains("data-x=\"895.00\" data-w=\"295.00\"><title>b (1 count, 25.00 %)"),
            "{picture}"
        );
    }
    #[test]
    fn names_are_escaped() {
        let picture = svg(&of(&[("<T as \"X\">::f & g", 1)]), "<b>");
        assert!(picture.contains("<title>&lt;T as &quot;X&quot;&gt;::f &amp; g ("), "{picture}");
        assert!(picture.contains(">&lt;b&gt;</text>"), "{picture}");
    }
    #[test]
    fn boxes_that_nobody_can_see_are_counted_instead() {
        let picture = svg(&of(&[("main;a", 1_000_000), ("main;b", 1)]), "cpu");
        assert!(picture.contains("1 boxes are too narrow"), "{picture}");
    }
    #[test]
    fn an_empty_profile_is_an_empty_picture() {
        assert!(svg(&of(&[]), "cpu").contains("Total 0 count."));
    }
    #[test]
    fn numbers_are_for_people() {
        assert_eq!(human(1_500_000_000, "nanoseconds"), "1.50 s");
        assert_eq!(human(2_048, "bytes"), "2.00 KiB");
        assert_eq!(human(0, "bytes"), "0.00 bytes");
        assert_eq!(human(7, "count"), "7 count");
    }
    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(fitting("abcdefgh", 6.0 + 5.0 * LETTER), "abc..");
        assert_eq!(fitting("abcdefgh", 10.0), "");
    }
}

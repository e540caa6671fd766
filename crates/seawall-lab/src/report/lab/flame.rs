//! Section 9: flame graphs, and the difference of two.
//!
//! Boxes are HTML elements placed in per cent: they fit any width, their text cuts itself off, and the script zooms by placing
//! them anew. The root is on top. In a difference the boxes are those of the second profile; the colour is the change of a
//! function's share.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::data::{Collected, LabReport, ProfilePair};
use super::page::{missing, open};
use crate::compare::function_changes;
use crate::profile::{Profile, ProfileKind};
use crate::report::format::{bytes, escape, millis, number, percent};

/// A box narrower than this part of the whole is not drawn.
const NARROWEST: f64 = 0.002;
/// Boxes per graph at most; the narrowest levels are cut.
const MAX_BOXES: usize = 800;
/// Levels at most.
const MAX_DEPTH: usize = 64;
/// Graphs of each kind at most.
const MAX_GRAPHS: usize = 4;
/// Functions in the table below a difference.
const MAX_CHANGES: usize = 12;
/// Characters of a function's name at most.
const MAX_NAME: usize = 110;

/// A function at its place on the stack.
#[derive(Debug, Default)]
struct Node {
    weight: f64,
    /// Its weight in the profile before, scaled to the same total.
    before: f64,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn add(&mut self, profile: &Profile, before: bool, scale: f64) {
        for stack in &profile.stacks {
            let weight = stack.weight * scale;
            self.count(weight, before);
            let mut node = &mut *self;
            for frame in stack.frames.iter().take(MAX_DEPTH) {
                node = node.children.entry(short(frame)).or_default();
                node.count(weight, before);
            }
        }
    }

    fn count(&mut self, weight: f64, before: bool) {
        if before { self.before += weight } else { self.weight += weight }
    }
}

/// A name without what makes Rust's long and says little: hashes and addresses.
fn short(name: &str) -> String {
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        _ => name,
    };
    match name.char_indices().nth(MAX_NAME) {
        Some((at, _)) => format!("{}…", &name[..at]),
        None => name.to_owned(),
    }
}

/// A box to draw: level, begin and width as parts of the whole, name, change of its share (differences only).
struct Box<'a> {
    depth: usize,
    left: f64,
    width: f64,
    name: &'a str,
    change: Option<f64>,
}

fn boxes<'a>(root: &'a Node, difference: bool) -> Vec<Box<'a>> {
    let total = root.weight.max(f64::MIN_POSITIVE);
    let mut level: Vec<(f64, &Node)> = vec![(0.0, root)];
    let mut all = Vec::new();
    for depth in 0..MAX_DEPTH {
        let mut next = Vec::new();
        for (left, node) in level {
            let mut at = left;
            for (name, child) in &node.children {
                let width = child.weight / total;
                if width >= NARROWEST {
                    let change =
                        difference.then(|| width - child.before / root.before.max(f64::MIN_POSITIVE));
                    all.push(Box { depth, left: at, width, name, change });
                    next.push((at, child));
                }
                at += width;
            }
        }
        if next.is_empty() || all.len() > MAX_BOXES {
            break;
        }
        level = next;
    }
    all.truncate(MAX_BOXES);
    all
}

pub(super) fn section(out: &mut String, report: &LabReport) {
    const TITLE: &str = "Flame graphs";
    let profiles = match &report.profiles {
        Collected::Data(profiles) if !profiles.is_empty() => profiles,
        Collected::Data(_) => return missing(out, "flames", TITLE, "no profile was taken"),
        Collected::Missing(why) => return missing(out, "flames", TITLE, why),
    };
    let lead = "The wider a box, the more of the time is spent in it and in what it calls, which lies below it. Click a box to see \
                only that part.";
    open(out, "flames", TITLE, lead);
    out.push_str("<div class=\"flames\">");
    if let Collected::Data(pairs) = &report.differences {
        for (i, pair) in pairs.iter().take(MAX_GRAPHS).enumerate() {
            let mut root = Node::default();
            root.add(&pair.after, false, 1.0);
            let scale = pair.after.total / pair.before.total.max(f64::MIN_POSITIVE);
            root.add(&pair.before, true, scale);
            let about = format!(
                "Boxes are those of {}. Orange takes a larger share than in {}, blue a smaller one.",
                pair.after_name, pair.before_name
            );
            figure(out, &format!("diff{i}"), &pair.name, &about, &root, &pair.after, true);
            changes(out, pair);
        }
    } else if let Collected::Missing(why) = &report.differences {
        let _ = write!(
            out,
            "<p class=\"why\">No difference of two profiles: {}.</p>",
            escape(why.trim_end_matches('.'))
        );
    }
    for (i, named) in profiles.iter().take(MAX_GRAPHS).enumerate() {
        let mut root = Node::default();
        root.add(&named.profile, false, 1.0);
        let dropped = if named.profile.dropped > 0.0 {
            format!(", {} in stacks too light to keep", amount(&named.profile, named.profile.dropped))
        } else {
            String::new()
        };
        let about = format!(
            "{} in all over {}, from {}{dropped}.",
            amount(&named.profile, named.profile.total),
            millis(named.profile.seconds * 1e3),
            named.profile.source
        );
        figure(out, &format!("{i}"), &named.name, &about, &root, &named.profile, false);
    }
    out.push_str("</div></section>\n");
}

/// The functions whose own share changed most. What is gone has no box above.
fn changes(out: &mut String, pair: &ProfilePair) {
    let found = function_changes(&pair.before, &pair.after, MAX_CHANGES);
    if found.is_empty() {
        return;
    }
    let _ = write!(
        out,
        "<details class=\"card table-card\"><summary>Functions whose own share changed most</summary><div class=\"scroll\"><table>\
         <thead><tr><th>Function</th><th class=\"num\">{}</th><th class=\"num\">{}</th><th class=\"num\">Change</th></tr></thead><tbody>",
        escape(&pair.before_name),
        escape(&pair.after_name)
    );
    for one in &found {
        let sign = if one.change() > 0.0 { '+' } else { '−' };
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td class=\"num\">{}</td><td class=\"num\">{}</td><td class=\"num\">{sign}{} points</td></tr>",
            escape(&short(&one.function)),
            percent(one.before),
            percent(one.after),
            number(one.change().abs() * 100.0)
        );
    }
    out.push_str("</tbody></table></div></details>");
}

/// A weight with its unit.
fn amount(profile: &Profile, weight: f64) -> String {
    match profile.kind {
        ProfileKind::Heap => bytes(weight),
        ProfileKind::Cpu | ProfileKind::Block | ProfileKind::OffCpu if profile.unit == "seconds" => {
            millis(weight * 1e3)
        }
        ProfileKind::Cpu | ProfileKind::Block | ProfileKind::OffCpu => {
            format!("{} {}", number(weight), profile.unit)
        }
    }
}

fn figure(
    out: &mut String,
    id: &str,
    title: &str,
    about: &str,
    root: &Node,
    profile: &Profile,
    difference: bool,
) {
    let boxes = boxes(root, difference);
    let depth = boxes.iter().map(|b| b.depth + 1).max().unwrap_or(0);
    let _ = write!(
        out,
        "<figure class=\"flame card\" id=\"flame-{id}\" data-total=\"{}\" data-unit=\"{}\"><figcaption><h3>{}</h3><p>{}</p></figcaption>\
         <div class=\"flame-tools\"><input type=\"search\" placeholder=\"find a function\" aria-label=\"Find a function\" hidden>\
         <output></output></div>",
        root.weight,
        if profile.kind == ProfileKind::Heap { "bytes" } else { "ms" },
        escape(title),
        escape(about)
    );
    if boxes.is_empty() {
        out.push_str("<p class=\"nothing\">The profile is empty.</p></figure>");
        return;
    }
    let _ = write!(out, "<div class=\"flame-boxes\" style=\"height:{}px\">", depth * 19);
    for one in &boxes {
        let class =
            one.change.map_or_else(|| colour(one.name).to_owned(), |change| change_class(change, one.width));
        let change = one.change.map(|c| format!(" data-c=\"{c:.4}\"")).unwrap_or_default();
        let _ = write!(
            out,
            "<i class=\"{class}\" style=\"left:{:.2}%;width:{:.2}%;top:{}px\"{change}>{}</i>",
            one.left * 100.0,
            one.width * 100.0,
            one.depth * 19,
            escape(one.name)
        );
    }
    out.push_str("</div></figure>");
}

/// The kernel's functions in one colour, the allocator's in another, the rest in shades by crate.
fn colour(name: &str) -> &'static str {
    let allocator = ["malloc", "free", "realloc", "alloc::", "jemalloc", "je_", "mi_", "_int_malloc"];
    if name.ends_with("_[k]") {
        "f-kernel"
    } else if allocator.iter().any(|part| name.contains(part)) && !name.contains("alloc::boxed") {
        "f-alloc"
    } else {
        let root = name.trim_start_matches(['<', '&', '_']).split("::").next().unwrap_or(name);
        let hash = root.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33) ^ u32::from(byte));
        ["f0", "f1", "f2", "f3"][hash as usize % 4]
    }
}

/// Seven steps from "much less" to "much more" of a function's share.
fn change_class(change: f64, width: f64) -> String {
    let relative = change / width.max(change.abs()).max(f64::MIN_POSITIVE);
    let step = if change.abs() < 0.003 { 0 } else { (relative.abs() * 3.0).ceil().clamp(1.0, 3.0) as u32 };
    match (step, change > 0.0) {
        (0, _) => "d0".into(),
        (step, true) => format!("more{step}"),
        (step, false) => format!("less{step}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_as_wide_as_its_share_and_lies_below_its_caller() {
        let mut root = Node::default();
        root.add(&Profile::of_cpu(&[("main;a;x", 3.0), ("main;b", 1.0)]), false, 1.0);
        let boxes: Vec<_> =
            boxes(&root, false).into_iter().map(|b| (b.depth, b.left, b.width, b.name.to_owned())).collect();
        let wanted = [(0, 0.0, 1.0, "main"), (1, 0.0, 0.75, "a"), (1, 0.75, 0.25, "b"), (2, 0.0, 0.75, "x")];
        assert_eq!(boxes, wanted.map(|(d, l, w, n)| (d, l, w, n.to_owned())));
    }
    #[test]
    fn a_difference_is_of_shares_however_long_each_profile_took() {
        let mut root = Node::default();
        let (before, after) =
            (Profile::of_cpu(&[("a", 5.0), ("b", 5.0)]), Profile::of_cpu(&[("a", 8.0), ("b", 2.0)]));
        root.add(&after, false, 1.0);
        root.add(&before, true, after.total / before.total);
        let changes: Vec<f64> = boxes(&root, true).iter().filter_map(|b| b.change).collect();
        assert!((changes[0] - 0.3).abs() < 1e-9 && (changes[1] + 0.3).abs() < 1e-9, "{changes:?}");
    }
    #[test]
    fn boxes_are_bounded() {
        let stacks: Vec<(String, f64)> =
            (0..400).map(|i| (format!("m;{i};{i};{i};{i};{i};{i}"), 1.0)).collect();
        let stacks: Vec<(&str, f64)> =
            stacks.iter().map(|(frames, weight)| (frames.as_str(), *weight)).collect();
        let mut root = Node::default();
        root.add(&Profile::of_cpu(&stacks), false, 1.0);
        assert!(boxes(&root, false).len() <= MAX_BOXES);
    }
    #[test]
    fn hashes_are_cut_off_names() {
        assert_eq!(short("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(short("a::hello"), "a::hello");
        assert_eq!(short(&"ü".repeat(300)).chars().count(), MAX_NAME + 1);
    }
    #[test]
    fn a_change_of_little_has_no_colour() {
        assert_eq!(change_class(0.001, 0.5), "d0");
        assert_eq!(change_class(0.3, 0.3), "more3");
        assert_eq!(change_class(-0.01, 0.2), "less1");
    }
}

//! The page that shows what is in a folder.

use std::fmt::Write as _;
use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fd::OwnedFd;
use rustix::fs::{Dir, FileType};

/// Entries on one page; the rest is counted.
const MOST: usize = 10_000;

/// What stays as it is in a link.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) folder: bool,
}

/// What is in a folder, by name, and how many entries did not fit. What has no name in UTF-8 cannot be asked for, and is
/// left out. It blocks.
pub(super) fn read(folder: OwnedFd, hidden: bool) -> io::Result<(Vec<Entry>, usize)> {
    let (mut entries, mut more) = (Vec::new(), 0);
    for entry in Dir::new(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || name.starts_with('.') && !hidden {
            continue;
        }
        if entries.len() == MOST {
            more += 1;
            continue;
        }
        entries.push(Entry { name: name.to_owned(), folder: entry.file_type() == FileType::Directory });
    }
    entries.sort();
    Ok((entries, more))
}

/// The page. Names are text in it and never markup; links are relative, so that no name can be an address.
pub(super) fn page(title: &str, entries: &[Entry], more: usize, up: bool) -> String {
    let title = escape(title);
    let mut page = format!("<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><ul>\n");
    if up {
        page.push_str("<li><a href=\"../\">../</a>\n");
    }
    for Entry { name, folder } in entries {
        let slash = if *folder { "/" } else { "" };
        let link = utf8_percent_encode(name, PLAIN);
        let name = escape(name);
        writeln!(page, "<li><a href=\"./{link}{slash}\">{name}{slash}</a>")
            .expect("a string takes everything");
    }
    page.push_str("</ul>\n");
    if more > 0 {
        writeln!(page, "<p>and {more} more").expect("a string takes everything");
    }
    page
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_links_stay_here() {
        let entries = [
            Entry { name: "<script>alert(1)</script>".to_owned(), folder: false },
            Entry { name: "javascript:alert(1)".to_owned(), folder: false },
            Entry { name: "a\"b c".to_owned(), folder: true },
        ];
        let page = page("/<x>/", &entries, 3, true);
        assert!(page.contains("<title>/&lt;x&gt;/</title>"), "{page}");
        assert!(
            page.contains("<a href=\"./%3Cscript%3Ealert%281%29%3C%2Fscript%3E\">&lt;script&gt;"),
            "{page}"
        );
        assert!(page.contains("<a href=\"./javascript%3Aalert%281%29\">javascript:alert(1)</a>"), "{page}");
        assert!(page.contains("<a href=\"./a%22b%20c/\">a&quot;b c/</a>"), "{page}");
        assert!(page.contains("and 3 more") && page.contains("href=\"../\""), "{page}");
    }
}

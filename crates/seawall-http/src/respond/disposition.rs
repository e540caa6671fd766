//! `Content-Disposition`: whether a body is to be shown or saved, and under which name (RFC 6266, RFC 8187).

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but RFC 8187's attr-char.
const NO_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Characters of a name; file systems take 255 bytes.
const LONGEST_NAME: usize = 200;

/// What the client is to do with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Show it.
    Inline,
    /// Save it.
    Attachment,
}

impl Disposition {
    /// The header's value. Of `name` the last part of a path counts, without control characters; a name with nothing
    /// left is `download`. What is not ASCII stands in `filename*`, with a plain `filename` for old clients.
    pub(crate) fn value(self, name: &str) -> HeaderValue {
        let kind = match self {
            Self::Inline => "inline",
            Self::Attachment => "attachment",
        };
        let name = file_name(name);
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let mut text = format!("{kind}; filename=\"{plain}\"");
        if plain != name {
            text += "; filename*=UTF-8''";
            text.extend(utf8_percent_encode(&name, NO_ATTR_CHAR));
        }
        HeaderValue::try_from(text).expect("visible ASCII is a header value")
    }
}

/// Needs no escape in a quoted string; `%` is left out because some clients decode it there (RFC 6266, appendix D).
fn is_plain(c: char) -> bool {
    (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%')
}

fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    // Leading dots would make hidden files, or the folder itself.
    match name.trim().trim_start_matches('.') {
        "" => "download".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(name: &str, value: &str) {
        assert_eq!(Disposition::Attachment.value(name), value);
    }

    #[test]
    fn a_plain_name_stands_alone() {
        check("report 2026.pdf", "attachment; filename=\"report 2026.pdf\"");
        assert_eq!(Disposition::Inline.value("a.png"), "inline; filename=\"a.png\"");
    }
    #[test]
    fn other_scripts_come_twice() {
        check(
            "naïve €.txt",
            "attachment; filename=\"na_ve _.txt\"; filename*=UTF-8''na%C3%AFve%20%E2%82%AC.txt",
        );
    }
    #[test]
    fn quotes_and_percent_signs_are_escaped() {
        check("a\"b%41.txt", "attachment; filename=\"a_b_41.txt\"; filename*=UTF-8''a%22b%2541.txt");
    }
    #[test]
    fn paths_lose_their_folders() {
        check("../../etc/passwd", "attachment; filename=\"passwd\"");
        check("C:\\temp\\a.txt", "attachment; filename=\"a.txt\"");
        check("..", "attachment; filename=\"download\"");
        check(".bashrc", "attachment; filename=\"bashrc\"");
    }
    #[test]
    fn line_breaks_are_dropped() {
        check("a\r\nset-cookie: x=y", "attachment; filename=\"aset-cookie: x=y\"");
        check("\r\n", "attachment; filename=\"download\"");
    }

    proptest! {
        /// Whatever the name: one header, one pair of quotes, and the name comes back.
        #[test]
        fn any_name_makes_a_value_that_reads_back(name in "\\PC*|.*") {
            let value = Disposition::Attachment.value(&name);
            let text = value.to_str().unwrap();
            prop_assert!(text.matches('"').count() == 2 && text.is_ascii());
            let extended = text.split_once("filename*=UTF-8''").map(|(_, name)| name);
            let read = match extended {
                Some(name) => percent_decode_str(name).decode_utf8().unwrap().into_owned(),
                None => text.split('"').nth(1).unwrap().to_owned(),
            };
            prop_assert_eq!(read, file_name(&name));
        }
    }
}

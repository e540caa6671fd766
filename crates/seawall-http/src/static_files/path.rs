//! Which file a request asks for: the rest of its path, decoded once, segment by segment. Pure.
//!
//! A segment that could mean anything but a name in its folder is refused, before the file system sees it. There is no
//! normalisation: what has to be cleaned up first does not exist.

use percent_encoding::percent_decode_str;

/// The longest name that file systems have.
const MAX_NAME: usize = 255;
/// More folders than anybody nests.
const MAX_DEPTH: usize = 64;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The names of the folders on the way, then the file's.
    pub(super) names: Vec<String>,
    /// Whether the path ends with a slash, and so means a folder.
    pub(super) folder: bool,
}

/// Reads a path as it was sent, without its leading slash. `None` is a path that no file has.
pub(super) fn wanted(raw: &str, hidden: bool) -> Option<Wanted> {
    let folder = raw.is_empty() || raw.ends_with('/');
    let raw = raw.strip_suffix('/').unwrap_or(raw);
    let mut names = Vec::new();
    for segment in raw.split('/').filter(|_| !raw.is_empty()) {
        let name = percent_decode_str(segment).decode_utf8().ok()?;
        // RFC 8615: what is below /.well-known/ is meant to be found.
        let well_known = names.is_empty() && name == ".well-known";
        if names.len() == MAX_DEPTH || !is_name(&name) || name.starts_with('.') && !hidden && !well_known {
            return None;
        }
        names.push(name.into_owned());
    }
    Some(Wanted { names, folder })
}

/// A slash or a backslash may only come out of an escape here, and then means to leave the folder.
fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_NAME
        && !name.chars().any(|c| matches!(c, '/' | '\\') || c.is_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Option<(&[&str], bool)>) {
        let found = wanted(raw, false);
        let found =
            found.as_ref().map(|w| (w.names.iter().map(String::as_str).collect::<Vec<_>>(), w.folder));
        assert_eq!(found, expected.map(|(names, folder)| (names.to_vec(), folder)), "{raw:?}");
    }

    #[test]
    fn names_are_decoded_once() {
        check("a.txt", Some((&["a.txt"], false)));
        check("a/b%20c", Some((&["a", "b c"], false)));
        check("caf%c3%a9", Some((&["café"], false)));
        check("%252e%252e", Some((&["%2e%2e"], false)));
    }
    #[test]
    fn a_slash_at_the_end_means_a_folder() {
        check("", Some((&[], true)));
        check("a/", Some((&["a"], true)));
    }
    #[test]
    fn what_could_leave_the_folder_is_refused() {
        for raw in
            ["..", ".", "a/..", "%2e%2e", ".%2E", "a%2fb", "a%5cb", "a\\b", "a%00", "a//b", "//", "%2f"]
        {
            check(raw, None);
        }
    }
    #[test]
    fn hidden_names_are_refused_unless_allowed() {
        check(".git/config", None);
        check("a/.env", None);
        check("%2egit", None);
        check(".well-known/acme", Some((&[".well-known", "acme"], false)));
        check("a/.well-known", None);
        assert!(wanted(".git", true).is_some());
        assert!(wanted("..", true).is_none());
    }
    #[test]
    fn names_have_a_length_and_folders_a_depth() {
        check(&"x".repeat(256), None);
        check(&"a/".repeat(65), None);
    }

    proptest! {
        #[test]
        fn every_name_stays_in_its_folder(raw in "[a./\\\\%25eEfF0c]{0,24}", hidden: bool) {
            if let Some(Wanted { names, .. }) = wanted(&raw, hidden) {
                for name in names {
                    let path = std::path::Path::new(&name);
                    let parts: Vec<_> = path.components().collect();
                    prop_assert!(matches!(parts[..], [std::path::Component::Normal(_)]), "{raw} gave {name}");
                }
            }
        }
    }
}

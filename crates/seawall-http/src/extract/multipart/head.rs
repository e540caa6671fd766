//! What a part says about itself, and the boundary that the request says it has.
//!
//! Names are read as browsers write them (RFC 7578, 4.2 and WHATWG HTML, "multipart form data"): raw UTF-8 in quotes,
//! with `%22`, `%0D` and `%0A` for what cannot stand there; older clients put a backslash before a quote.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use percent_encoding::percent_decode;

/// The most headers of a part; a browser sends two.
const MOST_HEADERS: usize = 16;
/// The longest boundary (RFC 2046, 5.1.1).
const LONGEST_BOUNDARY: usize = 70;
/// The longest name that [`safe_file_name`] gives: with room for an ending of the caller's below the 255 that file
/// systems allow.
const LONGEST_SAFE_NAME: usize = 200;

/// A part without its contents.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) headers: HeaderMap,
}

/// The boundary, from the request's content type.
pub(super) fn boundary(content_type: &str) -> Result<String, &'static str> {
    let (_, parameters) = parameters(content_type.as_bytes())?;
    let boundary = parameters.into_iter().find(|(name, _)| name == "boundary").ok_or("has no boundary")?.1;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY || boundary.ends_with(b" ") {
        return Err("has a boundary that is not 1 to 70 characters long");
    }
    match String::from_utf8(boundary) {
        Ok(boundary) if boundary.as_bytes().iter().all(allowed) => Ok(boundary),
        _ => Err("has a boundary with characters that it may not have"),
    }
}

/// The headers of a part, without the empty line behind them.
pub(super) fn parse(head: &[u8]) -> Result<Head, &'static str> {
    let headers = headers(head)?;
    let mut dispositions = headers.get_all(header::CONTENT_DISPOSITION).iter();
    let (Some(disposition), None) = (dispositions.next(), dispositions.next()) else {
        return Err("has not one Content-Disposition");
    };
    let (kind, parameters) = parameters(disposition.as_bytes())?;
    if !kind.eq_ignore_ascii_case(b"form-data") {
        return Err("has a Content-Disposition that is not form-data");
    }
    let text = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| unescaped(value)).transpose()
    };
    let name = text("name")?.filter(|name| !name.is_empty()).ok_or("has no name")?;
    let file_name = match text("filename")? {
        Some(name) => Some(name),
        // Not allowed in forms (RFC 7578, 4.2), but sent; it counts where there is nothing better.
        None => {
            parameters.iter().find(|(known, _)| known == "filename*").map(|(_, v)| extended(v)).transpose()?
        }
    };
    Ok(Head { name, file_name, headers })
}

fn headers(head: &[u8]) -> Result<HeaderMap, &'static str> {
    const MALFORMED: &str = "has a malformed header";
    let mut headers = HeaderMap::new();
    for line in lines(head) {
        if headers.len() == MOST_HEADERS {
            return Err("has more than 16 headers");
        }
        let colon = line.iter().position(|&byte| byte == b':').ok_or(MALFORMED)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| MALFORMED)?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| MALFORMED)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = memchr::memmem::find_iter(head, b"\r\n").chain(std::iter::once(head.len()));
    let mut from = 0;
    let line = move |end: usize| {
        let line = &head[from.min(end)..end];
        from = end + 2;
        line
    };
    ends.map(line).filter(|line| !line.is_empty())
}

type Parameters = Vec<(String, Vec<u8>)>;

/// `kind; name=value; name="value"`; names in small letters. One that comes twice is refused: two readers could take
/// different ones.
fn parameters(value: &[u8]) -> Result<(&[u8], Parameters), &'static str> {
    const MALFORMED: &str = "has malformed parameters";
    let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
    let kind = value[..end].trim_ascii();
    let mut rest = &value[end..];
    let mut found = Parameters::new();
    loop {
        rest = rest.trim_ascii_start();
        match rest {
            [] => return Ok((kind, found)),
            [b';', after @ ..] => rest = after.trim_ascii_start(),
            _ => return Err(MALFORMED),
        }
        if rest.is_empty() || rest.starts_with(b";") {
            continue;
        }
        let equals = rest.iter().position(|&byte| byte == b'=').ok_or(MALFORMED)?;
        let name = rest[..equals].trim_ascii();
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) || name.contains(&b';') {
            return Err(MALFORMED);
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let (value, after) = parameter_value(rest[equals + 1..].trim_ascii_start()).ok_or(MALFORMED)?;
        if found.iter().any(|(known, _)| *known == name) {
            return Err("has a parameter twice");
        }
        found.push((name, value));
        rest = after;
    }
}

/// A token or a quoted string, and what follows. A backslash is itself unless a quote or a backslash follows: some
/// clients send whole Windows paths.
fn parameter_value(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut quoted) = text.strip_prefix(b"\"") else {
        let end = text.iter().position(|&byte| byte == b';').unwrap_or(text.len());
        return Some((text[..end].trim_ascii_end().to_vec(), &text[end..]));
    };
    let mut value = Vec::new();
    loop {
        match quoted {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', byte @ (b'"' | b'\\'), after @ ..] | [byte, after @ ..] => {
                value.push(*byte);
                quoted = after;
            }
            [] => return None,
        }
    }
}

/// Undoes what a browser does to a name; anything else that is percent-encoded is part of the name.
fn unescaped(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "has a name that is not UTF-8")?;
    Ok(text.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"))
}

/// `UTF-8''na%C3%AFve.txt` (RFC 8187).
fn extended(value: &[u8]) -> Result<String, &'static str> {
    const MALFORMED: &str = "has a malformed filename*";
    let mut pieces = value.splitn(3, |&byte| byte == b'\'');
    let (Some(charset), Some(_language), Some(text)) = (pieces.next(), pieces.next(), pieces.next()) else {
        return Err(MALFORMED);
    };
    if !charset.eq_ignore_ascii_case(b"utf-8") {
        return Err(MALFORMED);
    }
    percent_decode(text).decode_utf8().map(Cow::into_owned).map_err(|_| MALFORMED)
}

/// The last part of a client's path, with nothing in it that means something to a file system or to a reader: no
/// separators, no control characters, none that turn the direction of the text, no dots or spaces at its ends, none of
/// Windows' names of devices, and 200 bytes at most, its ending kept. `None` if nothing is left.
pub(super) fn safe_file_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = last.chars().filter(|&c| !c.is_control() && !turns(c));
    let safe: String = kept.map(|c| if r#"<>:"|?*"#.contains(c) { '_' } else { c }).collect();
    let safe = safe.trim_matches([' ', '.']);
    let stem = safe.split('.').next().unwrap_or_default().trim_end();
    let safe = if is_device(stem) { Cow::Owned(format!("_{safe}")) } else { Cow::Borrowed(safe) };
    let short = shortened(&safe);
    (!short.is_empty()).then_some(short)
}

fn is_device(stem: &str) -> bool {
    let upper = stem.to_ascii_uppercase();
    let numbered = ["COM", "LPT"].iter().filter_map(|device| upper.strip_prefix(device));
    let mut numbers = numbered.filter_map(|rest| rest.parse::<char>().ok());
    ["CON", "PRN", "AUX", "NUL"].contains(&upper.as_str()) || numbers.any(|c| c.is_ascii_digit())
}

/// At most [`LONGEST_SAFE_NAME`] bytes, taken out of the stem if the ending is short.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST_SAFE_NAME {
        return name.to_owned();
    }
    let ending =
        name.rfind('.').map(|at| &name[at..]).filter(|ending| ending.len() <= 16).unwrap_or_default();
    let stem = name.floor_char_boundary(LONGEST_SAFE_NAME - ending.len());
    format!("{}{ending}", name[..stem].trim_end_matches([' ', '.']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn boundary_is(content_type: &str, expected: Result<&str, &str>) {
        assert_eq!(boundary(content_type).as_deref().map_err(|problem| *problem), expected, "{content_type}");
    }

    #[test]
    fn a_boundary_is_a_token_or_quoted() {
        boundary_is("multipart/form-data; boundary=abc", Ok("abc"));
        boundary_is("multipart/form-data;charset=utf-8;Boundary=\"a b\" ;", Ok("a b"));
        boundary_is(
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4",
            Ok("----WebKitFormBoundary7MA4"),
        );
    }
    #[test]
    fn a_boundary_that_cannot_be_is_refused() {
        let long = "has a boundary that is not 1 to 70 characters long";
        boundary_is("multipart/form-data", Err("has no boundary"));
        boundary_is("multipart/form-data; boundary=", Err(long));
        boundary_is(&format!("multipart/form-data; boundary={}", "a".repeat(71)), Err(long));
        boundary_is(
            "multipart/form-data; boundary=\"a\u{e9}\"",
            Err("has a boundary with characters that it may not have"),
        );
        boundary_is("multipart/form-data; boundary=a; boundary=b", Err("has a parameter twice"));
        boundary_is("multipart/form-data; boundary", Err("has malformed parameters"));
        boundary_is("multipart/form-data; boundary=\"a", Err("has malformed parameters"));
    }

    /// What the part with this Content-Disposition is called.
    #[track_caller]
    fn named(disposition: &str, expected: Result<(&str, Option<&str>), &str>) {
        let head =
            parse(format!("Content-Disposition: {disposition}\r\nContent-Type: text/plain").as_bytes());
        let found = head.as_ref().map(|head| (head.name.as_str(), head.file_name.as_deref()));
        assert_eq!(found.map_err(|problem| *problem), expected, "{disposition}");
    }

    #[test]
    fn a_part_has_a_name_and_a_file_may_have_one_too() {
        named("form-data; name=\"a\"", Ok(("a", None)));
        named("Form-Data; name=a; filename=b.txt", Ok(("a", Some("b.txt"))));
        named("form-data; name=\"a\"; filename=\"\"", Ok(("a", Some(""))));
    }
    #[test]
    fn names_are_read_as_browsers_write_them() {
        named(
            "form-data; name=\"a%22b\"; filename=\"\u{e9}%0D%0A%41.txt\"",
            Ok(("a\"b", Some("\u{e9}\r\n%41.txt"))),
        );
        named(r#"form-data; name="a\"b"; filename="C:\dir\x.txt""#, Ok(("a\"b", Some(r"C:\dir\x.txt"))));
        named("form-data; name=\"a;b=c\"; filename=\"d;e\"", Ok(("a;b=c", Some("d;e"))));
    }
    #[test]
    fn an_extended_name_counts_where_there_is_no_other() {
        named("form-data; name=a; filename*=UTF-8''%C3%A9.txt", Ok(("a", Some("\u{e9}.txt"))));
        named("form-data; name=a; filename=b; filename*=UTF-8''c", Ok(("a", Some("b"))));
        named("form-data; name=a; filename*=latin1''c", Err("has a malformed filename*"));
    }
    #[test]
    fn a_part_that_does_not_say_what_it_is_is_refused() {
        named("form-data", Err("has no name"));
        named("form-data; name=\"\"", Err("has no name"));
        named("attachment; name=a", Err("has a Content-Disposition that is not form-data"));
        named("form-data; name=a; name=b", Err("has a parameter twice"));
        assert_eq!(parse(b"Content-Type: text/plain").unwrap_err(), "has not one Content-Disposition");
        assert_eq!(parse(b"nonsense").unwrap_err(), "has a malformed header");
        assert_eq!(parse("a: b\r\n".repeat(17).as_bytes()).unwrap_err(), "has more than 16 headers");
    }

    #[track_caller]
    fn safe(name: &str, expected: Option<&str>) {
        assert_eq!(safe_file_name(name).as_deref(), expected, "{name:?}");
    }

    #[test]
    fn a_safe_name_has_no_path() {
        safe("../../etc/passwd", Some("passwd"));
        safe(r"C:\Users\ann\photo.jpg", Some("photo.jpg"));
        safe("..", None);
        safe("a/", None);
    }
    #[test]
    fn a_safe_name_means_nothing_to_a_file_system() {
        safe(".bashrc", Some("bashrc"));
        safe("a\0b\n.txt ", Some("ab.txt"));
        safe("a<b>:\"|?*.txt", Some("a_b______.txt"));
        safe("con.txt", Some("_con.txt"));
        safe("LPT1", Some("_LPT1"));
        safe("console.txt", Some("console.txt"));
        safe("invoice\u{202e}fdp.exe", Some("invoicefdp.exe"));
        safe("\u{e9}t\u{e9}.txt", Some("\u{e9}t\u{e9}.txt"));
    }
    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = safe_file_name(&format!("{}.jpeg", "\u{e9}".repeat(300))).unwrap();
        assert!(name.len() <= 200 && name.ends_with("\u{e9}.jpeg"), "{name}");
    }

    proptest! {
        #[test]
        fn any_name_becomes_safe_or_none(name in any::<String>()) {
            if let Some(safe) = safe_file_name(&name) {
                prop_assert!(!safe.is_empty() && safe.len() <= 201);
                prop_assert!(!safe.contains(['/', '\\', '\0']) && safe != "." && safe != "..");
                prop_assert_eq!(std::path::Path::new(&safe).file_name().and_then(|f| f.to_str()), Some(&*safe));
                prop_assert_eq!(safe_file_name(&safe), Some(safe.clone()), "{} is safe already", safe);
            }
        }
        #[test]
        fn any_head_is_read_without_a_panic(head in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = parse(&head);
            let _ = parameters(&head);
        }
        #[test]
        fn what_a_browser_writes_is_read(name in "[a-z\"\r\n; é]{1,9}", file in "[a-z\"\r\n;=é]{0,9}") {
            let escape = |text: &str| text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
            let head = format!("Content-Disposition: form-data; name=\"{}\"; filename=\"{}\"", escape(&name), escape(&file));
            let found = parse(head.as_bytes()).unwrap();
            prop_assert_eq!((found.name, found.file_name), (name, Some(file)));
        }
    }
}

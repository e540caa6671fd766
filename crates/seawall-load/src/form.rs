//! Forms with files: `multipart/form-data` (RFC 7578), put together once.
//!
//! Text parts may be templates; files are sent as they are. Left out: encodings of parts, nested parts.

use std::fs;
use std::path::PathBuf;

use seawall_core::ConfigError;

use crate::random::Random;
use crate::template::{Names, Place, Template};

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPart {
    /// The field's name.
    pub name: String,
    /// What is in it.
    pub value: FormValue,
}

/// What is in a part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormValue {
    /// A text; a template, if templates are on.
    Text(String),
    /// A file, read before the run.
    File {
        /// Where it is.
        path: PathBuf,
        /// The name that the server sees. Default: the file's.
        filename: Option<String>,
        /// Its media type. Default `application/octet-stream`.
        content_type: Option<String>,
    },
}

/// Most parts of a form.
const MAX_PARTS: usize = 1_000;
/// Most bytes of one file.
const MAX_FILE: u64 = 1 << 30;

/// The body of a form, and the value of its `Content-Type` field.
pub(crate) fn compile(parts: &[FormPart], names: Option<&Names>) -> Result<(Template, String), ConfigError> {
    if parts.len() > MAX_PARTS {
        return Err(ConfigError::new("load.form", parts.len(), format!("at most {MAX_PARTS} parts")));
    }
    let mut contents = Vec::new();
    for part in parts {
        contents.push(content(part, names)?);
    }
    let boundary = boundary(&contents);
    let mut body = Template::default();
    for (part, content) in parts.iter().zip(contents) {
        body.push_text(format!("--{boundary}\r\n{}\r\n\r\n", head(part)?).as_bytes());
        body.append(content);
        body.push_text(b"\r\n");
    }
    body.push_text(format!("--{boundary}--\r\n").as_bytes());
    Ok((body, format!("multipart/form-data; boundary={boundary}")))
}

fn content(part: &FormPart, names: Option<&Names>) -> Result<Template, ConfigError> {
    let mut raw = Template::default();
    match (&part.value, names) {
        (FormValue::Text(text), Some(names)) => {
            return Template::compile("load.form", text, Place::Body, names);
        }
        (FormValue::Text(text), None) => raw.push_text(text.as_bytes()),
        (FormValue::File { path, .. }, _) => {
            let refuse = |error: String| {
                let value = format!("{} ({error})", path.display());
                ConfigError::new("load.form", value, "a file of at most 1 GiB that can be read")
            };
            let size = fs::metadata(path).map_err(|error| refuse(error.to_string()))?.len();
            if size > MAX_FILE {
                return Err(refuse(format!("{size} bytes")));
            }
            raw.push_text(&fs::read(path).map_err(|error| refuse(error.to_string()))?);
        }
    }
    Ok(raw)
}

/// A line that no part contains.
fn boundary(contents: &[Template]) -> String {
    let mut random = Random::new(0x5ea_3a11);
    loop {
        let boundary = format!("seawall-{:016x}", random.next());
        let inside =
            |content: &Template| memchr::memmem::find(&content.text(), boundary.as_bytes()).is_some();
        if !contents.iter().any(inside) {
            return boundary;
        }
    }
}

fn head(part: &FormPart) -> Result<String, ConfigError> {
    let name = quoted("load.form", &part.name)?;
    Ok(match &part.value {
        FormValue::Text(_) => format!("Content-Disposition: form-data; name={name}"),
        FormValue::File { path, filename, content_type } => {
            let of_path = path.file_name().unwrap_or_default().to_string_lossy();
            let filename = quoted("load.form", filename.as_deref().unwrap_or(&of_path))?;
            let media = content_type.as_deref().unwrap_or("application/octet-stream");
            if media.chars().any(char::is_control) {
                let allowed = "a media type without control characters";
                return Err(ConfigError::new("load.form", format!("{media:?}"), allowed));
            }
            format!(
                "Content-Disposition: form-data; name={name}; filename={filename}\r\nContent-Type: {media}"
            )
        }
    })
}

/// As browsers write it (WHATWG, form submission): quotes and line breaks are percent-encoded.
fn quoted(field: &'static str, text: &str) -> Result<String, ConfigError> {
    if text.is_empty() {
        return Err(ConfigError::new(field, "a part without a name", "NAME=VALUE or NAME=@FILE"));
    }
    let safe = text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    Ok(format!("\"{safe}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_has_its_parts_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        fs::write(&path, b"{{seq}}\xff").unwrap();
        let parts = [
            FormPart { name: "a\"b".to_owned(), value: FormValue::Text("1".to_owned()) },
            FormPart {
                name: "f".to_owned(),
                value: FormValue::File { path, filename: None, content_type: Some("image/png".to_owned()) },
            },
        ];
        let (body, media) = compile(&parts, Some(&Names::default())).unwrap();
        let boundary = media.strip_prefix("multipart/form-data; boundary=").unwrap();
        let expected = [
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"a%22b\"\r\n\r\n1\r\n").as_bytes(),
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n")
                .as_bytes(),
            b"Content-Type: image/png\r\n\r\n{{seq}}\xff\r\n",
            format!("--{boundary}--\r\n").as_bytes(),
        ]
        .concat();
        assert_eq!(body.constant().unwrap(), expected);
    }

    #[test]
    fn the_boundary_is_in_no_part() {
        let first = boundary(&[]);
        let mut part = Template::default();
        part.push_text(first.as_bytes());
        assert_ne!(boundary(&[part]), first);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let value = FormValue::File { path: "/nowhere/x".into(), filename: None, content_type: None };
        let error = compile(&[FormPart { name: "f".to_owned(), value }], None).unwrap_err().to_string();
        assert!(error.contains("/nowhere/x") && error.contains("at most 1 GiB"), "{error}");
    }
}

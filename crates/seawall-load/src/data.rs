//! Rows for templates: a CSV file (RFC 4180), read once, before the run.
//!
//! Fields are kept in one buffer, so a million rows are no million allocations. Left out: other separators than the
//! comma, other encodings than UTF-8.

use std::fs;
use std::ops::Range;
use std::path::Path;

use seawall_core::ConfigError;

/// Most bytes of a data file.
const MAX_BYTES: u64 = 256 << 20;
/// Most columns.
const MAX_COLUMNS: usize = 1_000;

/// The rows of a data file; the first line names the columns.
#[derive(Debug, Default)]
pub(crate) struct Table {
    columns: Vec<String>,
    text: Vec<u8>,
    /// One per field, row after row.
    fields: Vec<Range<u32>>,
}

impl Table {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let refuse = |value: String, allowed: &str| ConfigError::new("load.data", value, allowed.to_owned());
        let shown = path.display();
        let text = fs::metadata(path).and_then(|meta| {
            if meta.len() > MAX_BYTES {
                return Err(std::io::Error::other(format!("{} bytes", meta.len())));
            }
            fs::read(path)
        });
        let allowed = "a CSV file of at most 256 MiB that can be read";
        let text = text.map_err(|error| refuse(format!("{shown} ({error})"), allowed))?;
        Self::parse(&text).map_err(|problem| {
            let allowed =
                "CSV (RFC 4180): a line with the names of the columns, then rows with as many fields";
            refuse(format!("{shown} ({problem})"), allowed)
        })
    }

    /// Parses a whole file.
    pub(crate) fn parse(input: &[u8]) -> Result<Self, String> {
        std::str::from_utf8(input).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
        let mut table = Self::default();
        let mut rest = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
        let mut line = 1;
        while !rest.is_empty() {
            let begin = table.fields.len();
            rest = table.read_row(rest).map_err(|problem| format!("line {line}: {problem}"))?;
            let fields = table.fields.len() - begin;
            if fields > MAX_COLUMNS {
                return Err(format!("line {line}: {fields} fields, at most {MAX_COLUMNS}"));
            }
            if table.columns.is_empty() {
                let text = &table.text;
                let name =
                    |range: Range<u32>| String::from_utf8_lossy(&text[as_usize(&range)]).trim().to_owned();
                table.columns = table.fields.drain(..).map(name).collect();
                table.text.clear();
            } else if fields == 1 && table.fields[begin].is_empty() && table.columns.len() > 1 {
                table.fields.pop(); // an empty line
            } else if fields != table.columns.len() {
                return Err(format!("line {line}: {fields} fields, but {} columns", table.columns.len()));
            }
            line += 1;
        }
        if table.fields.is_empty() {
            return Err("no rows".to_owned());
        }
        Ok(table)
    }

    /// Reads one row and gives what is left after it.
    fn read_row<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], &'static str> {
        loop {
            let begin = self.text.len() as u32;
            if let Some(quoted) = rest.strip_prefix(b"\"") {
                rest = self.read_quoted(quoted)?;
            } else {
                let end = rest.iter().position(|byte| matches!(byte, b',' | b'\n')).unwrap_or(rest.len());
                let field = &rest[..end];
                let field = if rest.get(end) == Some(&b',') { field } else { strip_cr(field) };
                if field.contains(&b'"') {
                    return Err("a quote inside of a field that does not begin with one");
                }
                self.text.extend_from_slice(field);
                rest = &rest[end..];
            }
            self.fields.push(begin..self.text.len() as u32);
            match rest {
                [b',', after @ ..] => rest = after,
                [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => return Ok(after),
                [] | [b'\r'] => return Ok(&[]),
                _ => return Err("text after a closing quote"),
            }
        }
    }

    /// After the opening quote, up to behind the closing one. A doubled quote stands for one.
    fn read_quoted<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], &'static str> {
        loop {
            let quote = memchr::memchr(b'"', rest).ok_or("a quoted field without its end")?;
            self.text.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(b"\"") {
                Some(after) => {
                    self.text.push(b'"');
                    rest = after;
                }
                None => return Ok(rest),
            }
        }
    }

    /// The number of the column with this name.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> &[String] {
        &self.columns
    }

    /// A field; rows begin again after the last one.
    #[inline]
    pub(crate) fn field(&self, row: u64, column: usize) -> &[u8] {
        let rows = self.fields.len() / self.columns.len().max(1);
        let row = (row % rows.max(1) as u64) as usize;
        let range = self.fields.get(row * self.columns.len() + column);
        range.map_or(&[], |range| &self.text[as_usize(range)])
    }
}

fn as_usize(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}

fn strip_cr(field: &[u8]) -> &[u8] {
    field.strip_suffix(b"\r").unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(text: &str) -> Result<Vec<Vec<String>>, String> {
        let table = Table::parse(text.as_bytes())?;
        let columns = table.columns.len();
        let field = |row: usize, column| String::from_utf8(table.field(row as u64, column).to_vec()).unwrap();
        let row = |row| (0..columns).map(|column| field(row, column)).collect();
        Ok((0..table.fields.len() / columns).map(row).collect())
    }

    fn check(text: &str, expected: &[&[&str]]) {
        assert_eq!(rows(text).unwrap(), expected, "{text:?}");
    }

    fn check_refused(text: &str, problem: &str) {
        assert_eq!(rows(text).unwrap_err(), problem);
    }

    #[test]
    fn lines_are_rows_and_commas_part_fields() {
        check("a,b\n1,2\n3,4\n", &[&["1", "2"], &["3", "4"]]);
        check("a,b\r\n1,2\r\n3,", &[&["1", "2"], &["3", ""]]);
    }

    #[test]
    fn quotes_hold_commas_lines_and_quotes() {
        check("a,b\n\"1,\n2\",\"say \"\"hi\"\"\"\r\n", &[&["1,\n2", "say \"hi\""]]);
    }

    #[test]
    fn empty_lines_and_the_byte_order_mark_are_nothing() {
        check("\u{feff}a,b\n1,2\n\n", &[&["1", "2"]]);
        assert_eq!(Table::parse("\u{feff}a\n1".as_bytes()).unwrap().column("a"), Some(0));
    }

    #[test]
    fn rows_begin_again() {
        let table = Table::parse(b"a\n1\n2\n").unwrap();
        assert_eq!([table.field(1, 0), table.field(2, 0)], [b"2", b"1"]);
    }

    #[test]
    fn problems_name_their_line() {
        check_refused("a,b\n1,2\n3\n", "line 3: 1 fields, but 2 columns");
        check_refused("a\n\"1", "line 2: a quoted field without its end");
        check_refused("a\n\"1\"2", "line 2: text after a closing quote");
        check_refused("a\n1\"2", "line 2: a quote inside of a field that does not begin with one");
        check_refused("a\n", "no rows");
        check_refused("", "no rows");
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_rules_is_read_back(
            written in proptest::collection::vec(proptest::collection::vec("[a-c,\"\n\r ]{0,6}", 2), 1..8)
        ) {
            let quote = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let line = |row: &Vec<String>| row.iter().map(quote).collect::<Vec<_>>().join(",") + "\n";
            let text = "x,y\n".to_owned() + &written.iter().map(line).collect::<String>();
            prop_assert_eq!(rows(&text).unwrap(), written);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::parse(&bytes);
        }
    }
}

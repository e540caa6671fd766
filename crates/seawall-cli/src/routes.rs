//! `seawall routes`: which route of a table each request finds, and why.
//!
//! It asks the framework's own router; here are the files, the mistakes in them, and how answers are written.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use seawall::Method;
use seawall::routing::{AddError, Resolution, RouteTable};
use serde::{Serialize, Serializer};

/// The most mistakes of a file that are listed.
const LISTED: usize = 20;

const HELP: &str = r#"Example:
  $ cat table.txt
  # METHOD PATTERN, one a line; ANY is any method that no other line of the place names
  GET  /users/new
  GET  /users/:id<int>
  GET  /users/:name
  ANY  /files/*path

  $ cat requests.txt
  # METHOD RAW-PATH, as it is sent; a query is not looked at
  GET  /users/42
  POST /users/42
  GET  /files/a%20b/c

  $ seawall routes --table table.txt --requests requests.txt
  GET /users/42
    200 /users/:id<int>  id="42"
    `GET /users/:id<int>` matches; it wins over `GET /users/:name`: in segment 2, a parameter with a constraint
    `:id<int>` comes before a parameter `:name`
  ...

Patterns:
  /users/new          this text, compared decoded; \: \* \< \\ stand for the characters themselves
  /users/:id          one segment, never empty
  /v:ver, /:name.json a segment with text around the parameter
  /:id<int>           also <uuid>, <alpha>, and ranges: <int(1..=100)>, <alpha(2..)>
  /files/*, /files/*path   the rest of the path, which may be empty
  ~/v[0-9]+/(?<x>.*)  a regular expression for the whole path, tried last, in the order of the table

Precedence, segment by segment from the left, whatever the order of the table: text, constraint, text around a
parameter, parameter, rest. A route for another method does not end the search.

With --json, one object per request:
  {"method":"GET","path":"/users/42","status":200,"route":"/users/:id<int>","params":{"id":"42"},"allow":[]}
  status is 200, 404, 405, or 204 for an OPTIONS that is answered by itself; allow is filled for 405 and 204.

Exit codes:
  0 every request was looked up, whatever was found   1 a file could not be read, or is wrong"#;

/// Arguments of `seawall routes`.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(crate) struct RoutesArgs {
    /// The routes, one `METHOD PATTERN` a line
    #[arg(long, value_name = "FILE")]
    table: PathBuf,
    /// The requests, one `METHOD RAW-PATH` a line
    #[arg(long, value_name = "FILE")]
    requests: PathBuf,
    /// Write one JSON object per request instead of text
    #[arg(long)]
    json: bool,
}

/// Looks every request up in the table and prints where it ends.
///
/// # Errors
/// A file that cannot be read, or has a line that is not accepted; all such lines are named.
pub(crate) fn run(args: &RoutesArgs) -> Result<ExitCode> {
    let table = table(&args.table)?;
    let text = read(&args.requests)?;
    let requests = requests(&args.requests, &text)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let written = requests.iter().try_for_each(|request| write(&mut out, &table, request, args.json));
    match written.and_then(|()| out.flush()) {
        // Whoever reads has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => written.context("cannot write the answers").map(|()| ExitCode::SUCCESS),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A line that says something: its number, its method, and what follows.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    number: usize,
    method: &'a str,
    rest: &'a str,
}

/// The lines of a file but for blank ones and comments.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let numbered = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(number, line)| {
        let (method, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Line { number, method, rest: without_comment(rest.trim()) }
    })
}

/// Neither a path nor the pattern of one has a `#` in it, but a regular expression may.
fn without_comment(text: &str) -> &str {
    let end = if text.starts_with('~') { None } else { text.find(" #").or_else(|| text.find("\t#")) };
    text[..end.unwrap_or(text.len())].trim_end()
}

fn method(line: Line<'_>) -> Result<Method, String> {
    Method::from_bytes(line.method.as_bytes()).map_err(|_| format!("`{}` is no method", line.method))
}

fn table(path: &Path) -> Result<RouteTable> {
    let text = read(path)?;
    let (mut table, mut known, mut problems) = (RouteTable::new(), Vec::<Line<'_>>::new(), Vec::new());
    for line in lines(&text) {
        match add(&mut table, line, &known) {
            Ok(()) => known.push(line),
            Err(problem) => problems.push(named(path, line, &problem)),
        }
    }
    refuse("the table is not accepted", problems)?;
    table.prepare();
    Ok(table)
}

fn add(table: &mut RouteTable, line: Line<'_>, known: &[Line<'_>]) -> Result<(), String> {
    if line.rest.is_empty() {
        return Err("a line of the table is `METHOD PATTERN`".to_owned());
    }
    let method = if line.method == "ANY" { None } else { Some(method(line)?) };
    table.add(method, line.rest).map(|_| ()).map_err(|error| match error {
        AddError::Taken(number) => {
            let Line { number, method, rest } = known[number];
            format!("it matches the same requests as line {number}, `{method} {rest}`")
        }
        error => error.to_string(),
    })
}

/// A request, and its path without the query.
#[derive(Debug)]
struct Request<'a> {
    method: Method,
    given: &'a str,
    path: &'a str,
}

fn requests<'a>(path: &Path, text: &'a str) -> Result<Vec<Request<'a>>> {
    let (mut requests, mut problems) = (Vec::new(), Vec::new());
    for line in lines(text) {
        match request(line) {
            Ok(request) => requests.push(request),
            Err(problem) => problems.push(named(path, line, &problem)),
        }
    }
    refuse("the requests are not accepted", problems)?;
    Ok(requests)
}

fn request(line: Line<'_>) -> Result<Request<'_>, String> {
    let given = line.rest;
    if given.is_empty() || given.contains(char::is_whitespace) {
        return Err(
            "a line of the requests is `METHOD RAW-PATH`, and a path has no blank: write `%20`".to_owned()
        );
    }
    let path = given.split_once('?').map_or(given, |(path, _)| path);
    Ok(Request { method: method(line)?, given, path })
}

fn named(path: &Path, line: Line<'_>, problem: &str) -> String {
    let Line { number, method, rest } = line;
    format!("{}, line {number}, `{}`: {problem}", path.display(), format!("{method} {rest}").trim_end())
}

/// Fails with all problems, if there are some.
fn refuse(what: &str, mut problems: Vec<String>) -> Result<()> {
    let more = problems.len().saturating_sub(LISTED);
    problems.truncate(LISTED);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    if !problems.is_empty() {
        bail!("{what}\n  {}", problems.join("\n  "));
    }
    Ok(())
}

/// One answer as JSON.
#[derive(Serialize)]
struct Answer<'a> {
    method: &'a str,
    path: &'a str,
    status: u16,
    route: Option<&'a str>,
    #[serde(serialize_with = "in_order")]
    params: &'a [(String, String)],
    allow: &'a [String],
}

fn in_order<S: Serializer>(params: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(params.iter().map(|(name, value)| (name, value)))
}

fn write(out: &mut impl Write, table: &RouteTable, request: &Request<'_>, json: bool) -> io::Result<()> {
    let found = table.resolve(&request.method, request.path);
    if !json {
        return writeln!(out, "{}", text(request, &found, &table.explain(&request.method, request.path)));
    }
    let answer = Answer {
        method: request.method.as_str(),
        path: request.given,
        status: found.status,
        route: found.route.as_deref(),
        params: &found.params,
        allow: &found.allow,
    };
    serde_json::to_writer(&mut *out, &answer)?;
    writeln!(out)
}

fn text(request: &Request<'_>, found: &Resolution, why: &str) -> String {
    let mut text = format!("{} {}\n  {}", request.method, request.given, found.status);
    if let Some(route) = &found.route {
        let _ = write!(text, " {route}");
    }
    for (name, value) in &found.params {
        let _ = write!(text, "  {name}={value:?}");
    }
    if !found.allow.is_empty() {
        let _ = write!(text, " Allow: {}", found.allow.join(", "));
    }
    let _ = writeln!(text, "\n  {why}");
    text
}

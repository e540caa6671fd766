//! Files of a folder, or of the program itself, as routes.
//!
//! `path.rs` reads what a request asks for, purely; `root.rs` opens it without a way out of the folder; `listing.rs`
//! writes the page of a folder; `embedded.rs` serves what was compiled in. Conditions, ranges and tags are
//! [`File`]'s.
//!
//! A route in front is no lock on a folder: what must not be read by everybody does not belong into it.

mod embedded;
mod listing;
mod path;
mod root;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use seawall_core::ConfigError;
use serde::Deserialize;

use self::path::{Wanted, wanted};
use self::root::{Found, Root};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::handler::{AnyHandler, Endpoint, Handler};
use crate::middleware::Coding;
use crate::middleware::answer::vary;
use crate::middleware::coding::choose;
use crate::respond::{File, HTML, Response, disk};

pub use embedded::{Embedded, EmbeddedConfig};

/// Which folder is served, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StaticConfig {
    /// The folder. It has no default.
    pub root: PathBuf,
    /// The file that stands for a folder; empty for none. Default `index.html`.
    pub index: String,
    /// The file, from the root, that is answered for a path that has none, so that a page can route by itself. Only for
    /// paths whose last part has no dot: a script that is missing stays a 404. Empty for none, which is the default.
    pub spa: String,
    /// Whether a folder without an index shows what is in it. Default no.
    pub listing: bool,
    /// Whether `a.css.br`, `a.css.zst` or `a.css.gz` is sent for `a.css` to who accepts it. The file itself has to be
    /// there too. Default no.
    pub precompressed: bool,
    /// Whether names with a leading dot are served. `/.well-known/` always is. Default no.
    pub hidden: bool,
    /// The value of `Cache-Control` for every file; empty for none, which is the default.
    pub cache_control: String,
}

impl Default for StaticConfig {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            index: "index.html".to_owned(),
            spa: String::new(),
            listing: false,
            precompressed: false,
            hidden: false,
            cache_control: String::new(),
        }
    }
}

/// A folder as a handler: for a route that ends with `/*`, or as the app's fallback, where the whole path counts.
///
/// The path is decoded once. `..` in any spelling, an escaped slash or backslash, NUL and other control characters, empty
/// names and hidden ones are 404s before the file system is asked; symbolic links work inside of the folder and are
/// 404s where they lead out of it. A folder without a slash at its end is redirected to the one with it (308), so that
/// links on its page are right. GET and HEAD only; anything else is a 405.
///
/// The folder is opened once, here: replace what is in it, not the folder.
///
/// ```no_run
/// use seawall_http::App;
/// use seawall_http::static_files::{Static, StaticConfig};
///
/// let config = StaticConfig { root: "public".into(), precompressed: true, ..StaticConfig::default() };
/// let app = App::new().get("/assets/*", Static::new(&config)?);
/// # Ok::<(), seawall_http::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Static(Arc<Site>);

#[derive(Debug)]
struct Site {
    root: Root,
    index: Option<String>,
    spa: Option<Vec<String>>,
    listing: bool,
    precompressed: bool,
    hidden: bool,
    cache_control: Option<HeaderValue>,
}

impl Static {
    /// Checks the configuration and opens the folder.
    ///
    /// # Errors
    /// If the folder cannot be opened, and for names that are none.
    pub fn new(config: &StaticConfig) -> Result<Self, ConfigError> {
        let StaticConfig { root, index, spa, listing, precompressed, hidden, cache_control } = config;
        let opened = Root::open(root).map_err(|error| {
            let allowed = format!("a folder that can be opened ({error})");
            ConfigError::new("static.root", root.display(), allowed)
        })?;
        let cache_control =
            (!cache_control.is_empty()).then(|| HeaderValue::from_str(cache_control)).transpose();
        Ok(Self(Arc::new(Site {
            root: opened,
            index: checked("static.index", index)?.map(|mut names| names.swap_remove(0)),
            spa: checked("static.spa", spa)?,
            listing: *listing,
            precompressed: *precompressed,
            hidden: *hidden,
            cache_control: cache_control.map_err(|_| {
                ConfigError::new("static.cache_control", &config.cache_control, "the value of a header")
            })?,
        })))
    }
}

/// A file's name, or its path from the root; none if the text is empty.
fn checked(field: &'static str, text: &str) -> Result<Option<Vec<String>>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let one = field == "static.index";
    let fits = wanted(text, true).filter(|wanted| !wanted.folder && (wanted.names.len() == 1 || !one));
    let allowed = if one { "the name of a file" } else { "the path of a file from the root" };
    fits.map(|wanted| Some(wanted.names)).ok_or_else(|| ConfigError::new(field, text, allowed))
}

/// What a folder has for a request.
enum Hit {
    File {
        opened: disk::Opened,
        name: String,
        coding: Option<Coding>,
    },
    /// To the same path with a slash.
    Elsewhere,
    Listing {
        entries: Vec<listing::Entry>,
        more: usize,
    },
}

impl Site {
    /// It blocks.
    fn look_up(&self, wanted: &Wanted, codings: &[Coding]) -> io::Result<Option<Hit>> {
        match self.root.find(&wanted.names)? {
            Some(Found::File(file)) if !wanted.folder => self.file(&wanted.names, file, codings).map(Some),
            Some(Found::Folder(_)) if !wanted.folder => Ok(Some(Hit::Elsewhere)),
            Some(Found::Folder(folder)) => {
                if let Some(index) = &self.index {
                    let names: Vec<_> = wanted.names.iter().chain([index]).cloned().collect();
                    if let Some(Found::File(file)) = self.root.find(&names)? {
                        return self.file(&names, file, codings).map(Some);
                    }
                }
                if !self.listing {
                    return self.spa(wanted, codings);
                }
                let (entries, more) = listing::read(folder, self.hidden)?;
                Ok(Some(Hit::Listing { entries, more }))
            }
            Some(Found::File(_)) | None => self.spa(wanted, codings),
        }
    }

    fn spa(&self, wanted: &Wanted, codings: &[Coding]) -> io::Result<Option<Hit>> {
        let is_page = wanted.names.last().is_none_or(|name| !name.contains('.'));
        let Some(names) = self.spa.as_ref().filter(|_| is_page) else { return Ok(None) };
        match self.root.find(names)? {
            Some(Found::File(file)) => self.file(names, file, codings).map(Some),
            Some(Found::Folder(_)) | None => Ok(None),
        }
    }

    /// The file, or what was compressed of it before.
    fn file(&self, names: &[String], file: std::fs::File, codings: &[Coding]) -> io::Result<Hit> {
        let (name, folders) = names.split_last().expect("a file has a name");
        for &coding in codings {
            let other = [folders, &[format!("{name}.{}", coding.extension())]].concat();
            if let Some(Found::File(file)) = self.root.find(&other)? {
                let opened = disk::read_first(file)?;
                return Ok(Hit::File { opened, name: name.clone(), coding: Some(coding) });
            }
        }
        Ok(Hit::File { opened: disk::read_first(file)?, name: name.clone(), coding: None })
    }
}

/// What is offered: the smallest first.
const PRECOMPRESSED: [Coding; 3] = [Coding::Br, Coding::Zstd, Coding::Gzip];

impl Static {
    async fn answer(&self, c: &Context) -> Result<Response> {
        only_reads(c)?;
        let not_found = || Error::not_found("Not Found");
        let wanted = wanted(rest(c), self.0.hidden).ok_or_else(not_found)?;
        let codings = if self.0.precompressed { accepted(c) } else { Vec::new() };
        let site = Arc::clone(&self.0);
        let hit = disk::blocking(move || site.look_up(&wanted, &codings)).await??.ok_or_else(not_found)?;
        match hit {
            Hit::Elsewhere => with_slash(c),
            Hit::Listing { entries, more } => {
                let title = percent_decode_str(c.path()).decode_utf8_lossy();
                Ok(listed(listing::page(&title, &entries, more, !rest(c).is_empty())))
            }
            Hit::File { opened, name, coding } => {
                let file = File::opened(opened, Path::new(&name), coding.map(Coding::name))?;
                let mut response = file.answer(c)?;
                let headers = response.headers_mut();
                if self.0.precompressed {
                    vary(headers, "Accept-Encoding");
                }
                if let Some(coding) = coding.filter(|_| headers.contains_key(header::CONTENT_TYPE)) {
                    headers.insert(header::CONTENT_ENCODING, coding.value());
                }
                if let Some(cache_control) = &self.0.cache_control {
                    headers.insert(header::CACHE_CONTROL, cache_control.clone());
                }
                Ok(response)
            }
        }
    }
}

/// The codings that the client accepts, in its order: the best first.
fn accepted(c: &Context) -> Vec<Coding> {
    let mut left = PRECOMPRESSED.to_vec();
    let mut accepted = Vec::new();
    while let Some(coding) = choose(c.headers(), &left) {
        accepted.push(coding);
        left.retain(|other| *other != coding);
    }
    accepted
}

/// What stands for `*` in the path, as it was sent; for a fallback, all of it.
fn rest(c: &Context) -> &str {
    let rest = c.matched().and_then(|matched| {
        let at = matched.chain.names().iter().position(|name| &**name == "*")?;
        let &(start, end) = matched.params.spans().get(at)?;
        Some(&c.path()[start as usize..end as usize])
    });
    rest.unwrap_or_else(|| c.path().strip_prefix('/').unwrap_or(c.path()))
}

fn only_reads(c: &Context) -> Result<()> {
    let reads = [Method::GET, Method::HEAD];
    if reads.contains(c.method()) { Ok(()) } else { Err(Error::method_not_allowed(&reads)) }
}

/// Never to another host: a path may begin with two slashes.
fn with_slash(c: &Context) -> Result<Response> {
    let path = c.path().trim_start_matches('/');
    let query = c.uri().query().map_or(Cow::Borrowed(""), |query| format!("?{query}").into());
    c.redirect(308, format!("/{path}/{query}"))
}

fn listed(page: String) -> Response {
    Response::new(StatusCode::OK, page)
        .header(header::CONTENT_TYPE, HTML)
        .header(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'"))
}

impl AnyHandler for Static {
    fn call(&self, c: Context) -> BoxFuture<'_, Result<Response>> {
        Box::pin(async move { self.answer(&c).await })
    }
}

#[diagnostic::do_not_recommend]
impl Handler<Static> for Static {
    fn into_endpoint(self) -> Endpoint {
        Endpoint::new(self)
    }
}

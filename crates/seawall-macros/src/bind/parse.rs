//! The struct as its attributes describe it. A mistake is reported at the word that is wrong.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned as _;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, Fields, Generics, Ident, LitStr, Path, Result, Type,
};

const SOURCES: &str = "`path`, `query`, `header`, `cookie` or `body`";

/// A struct that can be bound.
pub(crate) struct Input<'a> {
    pub(super) name: &'a Ident,
    pub(super) generics: &'a Generics,
    /// The crate that has the framework, if it goes by another name.
    pub(super) root: Path,
    pub(super) fields: Vec<Bound<'a>>,
}

/// A field and its place in the request.
pub(super) struct Bound<'a> {
    pub(super) ident: &'a Ident,
    pub(super) kind: &'a Type,
    pub(super) source: Source,
    pub(super) default: Option<Default>,
}

pub(super) enum Source {
    Path(String),
    Query(String),
    Header(String),
    Cookie(String),
    Body,
}

/// What a value is where the request has none.
pub(super) enum Default {
    OfType,
    Is(Box<Expr>),
}

pub(crate) fn parse(input: &DeriveInput) -> Result<Input<'_>> {
    let root = root(&input.attrs)?;
    let mut problems = Problems(None);
    let fields: Vec<_> = named_fields(input)?.filter_map(|field| problems.keep(bound(field))).collect();
    let mut bodies = fields.iter().filter(|field| matches!(field.source, Source::Body)).skip(1);
    if let Some(second) = bodies.next() {
        let message = "a request has one body: this field is the second that takes it";
        problems.add(Error::new(second.ident.span(), message));
    }
    match problems.0 {
        Some(problem) => Err(problem),
        None => Ok(Input { name: &input.ident, generics: &input.generics, root, fields }),
    }
}

/// All mistakes, so that one compilation shows them.
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, problem: Error) {
        match &mut self.0 {
            Some(all) => all.combine(problem),
            None => self.0 = Some(problem),
        }
    }
    fn keep<T>(&mut self, found: Result<T>) -> Option<T> {
        found.map_err(|problem| self.add(problem)).ok()
    }
}

fn named_fields(input: &DeriveInput) -> Result<impl Iterator<Item = &Field>> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Ok(fields.named.iter()),
            Fields::Unnamed(fields) => {
                let message = "`Bind` finds values by the names of the fields: give them names";
                Err(Error::new(fields.span(), message))
            }
            Fields::Unit => Err(Error::new(input.ident.span(), "`Bind` has nothing to do without fields")),
        },
        Data::Enum(data) => Err(Error::new(data.enum_token.span, "`Bind` is for structs with named fields")),
        Data::Union(data) => {
            Err(Error::new(data.union_token.span, "`Bind` is for structs with named fields"))
        }
    }
}

/// `#[bind(crate = path)]` on the struct; `::seawall` without it.
fn root(attributes: &[Attribute]) -> Result<Path> {
    let mut root: Path = syn::parse_quote!(::seawall);
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("bind")) {
        attribute.parse_nested_meta(|word| {
            if !word.path.is_ident("crate") {
                return Err(
                    word.error("on the struct there is only `crate = path`; sources stand on the fields")
                );
            }
            root = word.value()?.call(Path::parse_mod_style)?;
            Ok(())
        })?;
    }
    Ok(root)
}

fn bound(field: &Field) -> Result<Bound<'_>> {
    let ident = field.ident.as_ref().ok_or_else(|| Error::new(field.span(), "a field without a name"))?;
    let (mut source, mut default) = (None, None);
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("bind")) {
        attribute.parse_nested_meta(|word| {
            if word.path.is_ident("default") {
                default = Some((word.path.span(), default_of(&word)?));
                return Ok(());
            }
            let found = source_of(&word, ident)?;
            match source.replace(found) {
                None => Ok(()),
                Some(_) => Err(word.error("a field has one source, and this is its second")),
            }
        })?;
    }
    let missing = || {
        let message = format!("say where `{ident}` comes from: `#[bind(..)]` with {SOURCES}");
        Error::new(ident.span(), message)
    };
    let source = source.ok_or_else(missing)?;
    match (&source, &default) {
        (Source::Path(_), Some((at, _))) => {
            Err(Error::new(*at, "a path parameter is always there: it needs no default"))
        }
        (Source::Body, Some((at, _))) => {
            Err(Error::new(*at, "a body has no default: make the field an `Option`"))
        }
        _ => Ok(Bound { ident, kind: &field.ty, source, default: default.map(|(_, default)| default) }),
    }
}

fn default_of(word: &ParseNestedMeta<'_>) -> Result<Default> {
    if word.input.peek(syn::Token![=]) {
        return word.value()?.parse().map(|value| Default::Is(Box::new(value)));
    }
    Ok(Default::OfType)
}

fn source_of(word: &ParseNestedMeta<'_>, field: &Ident) -> Result<Source> {
    let unknown = || word.error(format!("expected a source: {SOURCES}; or `default`"));
    let source = word.path.get_ident().ok_or_else(unknown)?.to_string();
    let name = if word.input.peek(syn::Token![=]) { Some(word.value()?.parse::<LitStr>()?) } else { None };
    if let Some(empty) = name.as_ref().filter(|name| name.value().is_empty()) {
        return Err(Error::new(empty.span(), "a name has at least one character"));
    }
    let named = |name: Option<LitStr>| name.map_or_else(|| field.unraw().to_string(), |name| name.value());
    match source.as_str() {
        "path" => Ok(Source::Path(named(name))),
        "query" => Ok(Source::Query(named(name))),
        "cookie" => Ok(Source::Cookie(named(name))),
        "header" => {
            let span = name.as_ref().map_or(field.span(), LitStr::span);
            header(&named(name), span).map(Source::Header)
        }
        "body" => match name {
            None => Ok(Source::Body),
            Some(name) => Err(Error::new(name.span(), "the body is one: it has no name")),
        },
        _ => Err(unknown()),
    }
}

/// A header's name (RFC 9110, 5.6.2), with `-` for the `_` of a field.
fn header(name: &str, span: Span) -> Result<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    match name.chars().find(|&c| !allowed(c)) {
        Some(c) => Err(Error::new(span, format!("a header's name cannot have {c:?}"))),
        None => Ok(name.replace('_', "-").to_ascii_lowercase()),
    }
}

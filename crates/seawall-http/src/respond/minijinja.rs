//! Templates by minijinja: from a folder or from text in the binary, read and checked at start.

use std::path::{Path, PathBuf};
use std::{fmt, fs};

use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::render::{Renderer, TemplateData};
use crate::error::{Error, Result};

/// Templates of a folder, and bytes of one; more is taken for a mistake in the folder's name.
const MAX_TEMPLATES: usize = 10_000;
const MAX_BYTES: u64 = 4 << 20;

/// Templates in the language of Jinja2. Those named `*.html`, `*.htm` and `*.xml` escape what they insert; a name that
/// was not given is an error, so that a typo does not become an empty place.
pub struct MiniJinja {
    environment: Environment<'static>,
    /// The folder to read anew before each use.
    reload: Option<PathBuf>,
}

impl MiniJinja {
    /// All files below `folder`, under their path in it with `/`: `mail/welcome.txt`.
    ///
    /// # Errors
    /// If the folder cannot be read, has more than 10,000 files or one over 4 MiB, or a template does not parse; the
    /// message names it.
    pub fn folder(folder: impl AsRef<Path>) -> Result<Self> {
        Ok(Self { environment: read(folder.as_ref())?, reload: None })
    }

    /// As [`MiniJinja::folder`], but the templates are read again for every answer. For development: it blocks the
    /// worker while it reads.
    ///
    /// # Errors
    /// As [`MiniJinja::folder`].
    pub fn reloading(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        Ok(Self { environment: read(&folder)?, reload: Some(folder) })
    }

    /// These names with these texts, such as those of `include_str!`.
    ///
    /// # Errors
    /// If one does not parse.
    pub fn embedded<'a>(templates: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut environment = empty();
        for (name, text) in templates {
            environment
                .add_template_owned(name.to_owned(), text.to_owned())
                .map_err(|error| failed(name, &error))?;
        }
        Ok(Self { environment, reload: None })
    }
}

impl Renderer for MiniJinja {
    fn render(&self, template: &str, data: TemplateData<'_>) -> Result<String> {
        let fresh = self.reload.as_deref().map(read).transpose()?;
        let environment = fresh.as_ref().unwrap_or(&self.environment);
        let text =
            environment.get_template(template).and_then(|found| found.render(Value::from(Serde(data))));
        text.map_err(|error| failed(template, &error))
    }
}

fn empty() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
}

fn failed(template: &str, error: &minijinja::Error) -> Error {
    // The alternate form has the causes and the place.
    Error::internal(format!("template `{template}`: {error:#}"))
}

/// All templates below `root`.
fn read(root: &Path) -> Result<Environment<'static>> {
    let mut environment = empty();
    let (mut folders, mut count) = (vec![root.to_path_buf()], 0);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))? {
            let path = entry.map_err(|error| unreadable(&folder, &error))?.path();
            count += 1;
            if count > MAX_TEMPLATES {
                let problem = format!("{} has more than {MAX_TEMPLATES} files", root.display());
                return Err(Error::internal(problem));
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = name_of(root, &path)?;
            let text = read_text(&path).map_err(|error| unreadable(&path, &error))?;
            environment.add_template_owned(name.clone(), text).map_err(|error| failed(&name, &error))?;
        }
    }
    Ok(environment)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    if fs::metadata(path)?.len() > MAX_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    fs::read_to_string(path)
}

fn name_of(root: &Path, path: &Path) -> Result<String> {
    let parts = path.strip_prefix(root).expect("found below the root").iter();
    let parts = parts.map(|part| part.to_str()).collect::<Option<Vec<_>>>();
    let parts =
        parts.ok_or_else(|| Error::internal(format!("the name of {} is not UTF-8", path.display())))?;
    Ok(parts.join("/"))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::internal(format!("cannot read {}: {error}", path.display()))
}

impl fmt::Debug for MiniJinja {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MiniJinja").field("reload", &self.reload).finish_non_exhaustive()
    }
}

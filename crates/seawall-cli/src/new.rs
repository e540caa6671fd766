//! `seawall new NAME`: a small service that builds, runs and has tests, to begin with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

/// Writes a small service that builds, runs and has tests
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  seawall new shop && cd shop && cargo test && cargo run")]
pub(crate) struct NewArgs {
    /// Name of the package, and of the folder that is made: lower-case letters, digits, `-` and `_`
    #[arg(value_parser = package_name)]
    name: String,
    /// Where the folder is made
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    into: PathBuf,
    /// A checkout of Seawall to build on. Default: the one that this command was built from, if it is still there
    #[arg(long, value_name = "FOLDER")]
    seawall: Option<PathBuf>,
}

const FILES: [(&str, &str); 6] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.txt")),
    ("README.md", include_str!("../template/README.md.txt")),
    ("src/lib.rs", include_str!("../template/src/lib.rs.txt")),
    ("src/main.rs", include_str!("../template/src/main.rs.txt")),
    ("tests/api.rs", include_str!("../template/tests/api.rs.txt")),
    (".gitignore", "/target\n"),
];

pub(crate) fn run(args: &NewArgs) -> Result<ExitCode> {
    let folder = args.into.join(&args.name);
    if folder.exists() {
        bail!("`{}` is there already; choose another name, or another folder with --into", folder.display());
    }
    let seawall = dependency(args.seawall.as_deref())?;
    for (path, text) in FILES {
        let path = folder.join(path);
        let parent = path.parent().expect("every file is inside the folder");
        fs::create_dir_all(parent).with_context(|| format!("cannot make `{}`", parent.display()))?;
        fs::write(&path, filled(text, &args.name, &seawall))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    println!("wrote {}\nnext:\n  cd {}\n  cargo test\n  cargo run", folder.display(), folder.display());
    Ok(ExitCode::SUCCESS)
}

fn filled(text: &str, name: &str, seawall: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{seawall}}", seawall)
}

/// The line of the manifest that says where Seawall is.
fn dependency(checkout: Option<&Path>) -> Result<String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(|crates| crates.join("seawall"));
    let (path, given) = match checkout {
        Some(checkout) => (checkout.join("crates/seawall"), true),
        None => (own.unwrap_or_default(), false),
    };
    match path.join("Cargo.toml").is_file() {
        true => {
            let path = path.canonicalize().with_context(|| format!("cannot read `{}`", path.display()))?;
            let path = path.to_str().context("the path of the checkout is not UTF-8")?;
            Ok(format!("seawall = {{ path = {} }}", serde_json::Value::from(path)))
        }
        false if given => {
            bail!("--seawall: `{}` is no checkout of Seawall: it has no Cargo.toml", path.display())
        }
        false => Ok(format!("seawall = \"{}\"", env!("CARGO_PKG_VERSION"))),
    }
}

/// What Cargo takes as a name, and what does not hide a crate that everybody has.
fn package_name(name: &str) -> Result<String, String> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if !first || name.len() > 64 || !name.bytes().all(plain) {
        return Err(
            "a name is 1 to 64 lower-case letters, digits, `-` and `_`, and begins with a letter".to_owned()
        );
    }
    if KEYWORDS.contains(&name) || TAKEN.contains(&name) {
        return Err(format!("`{name}` means something else in Rust; choose another name"));
    }
    Ok(name.to_owned())
}

const TAKEN: [&str; 8] = ["alloc", "core", "proc-macro", "seawall", "serde", "std", "test", "tokio"];
const KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use", "virtual",
    "where", "while",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_are_taken() {
        for name in ["shop", "my-shop", "shop_2"] {
            assert_eq!(package_name(name).as_deref(), Ok(name));
        }
    }
    #[test]
    fn bad_names_are_refused_with_the_rule() {
        for name in ["", "Shop", "2shop", "-x", "a/b", "..", "a b", &"x".repeat(65)] {
            assert!(package_name(name).unwrap_err().contains("lower-case letters"), "{name}");
        }
    }
    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["seawall", "match", "std"] {
            assert!(package_name(name).unwrap_err().contains("means something else"), "{name}");
        }
    }
    #[test]
    fn nothing_is_left_to_fill_in() {
        for (path, text) in FILES {
            assert!(!filled(text, "my-shop", "seawall = \"1\"").contains("{{"), "{path}");
        }
    }
}

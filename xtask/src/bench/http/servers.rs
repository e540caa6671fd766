//! The servers as programs: how each is built or found, what its row is called, how it is started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::super::process::{self, Server};
use super::super::{build, echo};
use super::cases::{self, App, Peer};
use crate::setup;

const NGINX_PACKAGE: &str = "nginx-light";
const NGINX: &str = "/usr/sbin/nginx";

/// Programs, and the folder with the files that they are given.
#[derive(Debug)]
pub(super) struct Servers {
    folder: PathBuf,
    thousand: PathBuf,
    programs: Vec<Program>,
}

#[derive(Debug)]
pub(super) struct Program {
    pub(super) peer: Peer,
    /// With its version.
    pub(super) label: String,
    path: PathBuf,
}

impl Servers {
    /// Builds all `peers`. One that comes from Debian's packages and cannot be had is left out with a message, unless
    /// it was `asked` for by name. `before` is a program of ours that is there already.
    pub(super) fn build(
        root: &Path,
        target: &Path,
        peers: &[Peer],
        asked: bool,
        before: Option<&Path>,
    ) -> Result<Self> {
        let folder = target.join("bench-http");
        let thousand = cases::write_thousand(&folder)?;
        let lock = build::lock(root)?;
        let mut programs = Vec::new();
        for &peer in peers {
            let found = match peer {
                Peer::Echo => echo::build(root, target, "http"),
                Peer::Nginx => nginx(),
                _ => {
                    let path = build::peer(root, target, &format!("http-{}", peer.name()), peer.name())?;
                    Ok((label(peer, &lock), path))
                }
            };
            match found {
                Ok((label, path)) => programs.push(Program { peer, label, path }),
                Err(problem) if asked => return Err(problem.context(format!("no {}", peer.name()))),
                Err(problem) => println!("without {}: {problem:#}", peer.name()),
            }
        }
        if let Some(path) = before {
            let label = "seawall, an earlier build".to_owned();
            programs.push(Program { peer: Peer::SeawallBefore, label, path: path.to_path_buf() });
        }
        Ok(Self { folder, thousand, programs })
    }

    pub(super) fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Starts a server on its core; what it prints goes to `output`.
    pub(super) fn start(&self, program: &Program, app: App, output: Stdio) -> Result<Server> {
        let port = process::free_port()?;
        let path = program.path.display().to_string();
        let command = if program.peer == Peer::Nginx {
            let config = self.folder.join(format!("nginx-{port}.conf"));
            std::fs::write(&config, nginx_config(port, &self.folder))
                .context("cannot write nginx's configuration")?;
            vec![path, "-e".to_owned(), "stderr".to_owned(), "-c".to_owned(), config.display().to_string()]
        } else {
            let routes = (app == App::Thousand).then(|| self.thousand.display().to_string());
            let arguments = [path, format!("127.0.0.1:{port}"), app.name().to_owned()];
            arguments.into_iter().chain(routes).collect()
        };
        Server::start(program.peer.name(), port, &command, output)
    }

    /// A file for what a server prints.
    pub(super) fn output(&self, peer: Peer) -> PathBuf {
        self.folder.join(format!("{}.out", peer.name()))
    }
}

/// The version is that of the lock file; what else is said is how it runs.
fn label(peer: Peer, lock: &str) -> String {
    let name = peer.name();
    let version = build::version(lock, name).unwrap_or("of this tree");
    match peer {
        Peer::Seawall => format!("{name}, all defaults on"),
        Peer::Hyper => format!("{name} {version}, current-thread"),
        Peer::Axum | Peer::Salvo => format!("{name} {version}, multi-thread, 1 worker"),
        Peer::Ntex => format!("{name} {version}, io_uring"),
        _ => format!("{name} {version}"),
    }
}

fn nginx() -> Result<(String, PathBuf)> {
    if !Path::new(NGINX).exists() {
        setup::install_for_a_row(NGINX_PACKAGE)?;
    }
    let output = Command::new(NGINX).arg("-v").output().context("cannot start nginx")?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.trim().rsplit('/').next().unwrap_or_default().to_owned();
    Ok((format!("nginx {version} (Debian), return 200"), PathBuf::from(NGINX)))
}

/// As its documentation tunes it for many requests on one core: one worker, no access log, connections that are not
/// closed after 1,000 requests. Temporary files are never written, but the folders must be there.
fn nginx_config(port: u16, folder: &Path) -> String {
    let folder = folder.display();
    let message = r#"{"message":"Hello from Seawall!"}"#;
    format!(
        "daemon off;\nworker_processes 1;\npid {folder}/nginx-{port}.pid;\n\
         events {{ worker_connections 20480; }}\n\
         http {{\n\
         access_log off;\nkeepalive_requests 1000000000;\ndefault_type application/json;\n\
         client_body_temp_path {folder}/nginx;\nproxy_temp_path {folder}/nginx;\nfastcgi_temp_path {folder}/nginx;\n\
         uwsgi_temp_path {folder}/nginx;\nscgi_temp_path {folder}/nginx;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 '{message}'; }} }}\n\
         }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock = "[[package]]\nname = \"axum-core\"\nversion = \"0.5.6\"\n\n[[package]]\nname = \"axum\"\nversion = \"0.8.9\"\n";
        assert_eq!(build::version(lock, "axum"), Some("0.8.9"));
        assert_eq!(build::version(lock, "axu"), None);
        assert_eq!(label(Peer::Axum, lock), "axum 0.8.9, multi-thread, 1 worker");
    }
}

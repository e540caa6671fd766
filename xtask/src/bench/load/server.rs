//! nginx with one worker and one small answer, and how many requests it has counted.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::super::process::{Server, free_port};

/// Debian's nginx.
const NGINX: &str = "/usr/sbin/nginx";

/// A running nginx on the server's core.
pub(super) struct Nginx {
    server: Server,
    folder: PathBuf,
}

impl Nginx {
    pub(super) fn start() -> Result<Self> {
        if !std::path::Path::new(NGINX).exists() {
            bail!("{NGINX} is missing: `cargo xtask setup` installs it");
        }
        let folder = std::env::temp_dir().join(format!("seawall-bench-nginx-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let port = free_port()?;
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config(port, &folder.display().to_string()))?;
        let command = [NGINX, "-p", &folder.display().to_string(), "-c", &file.display().to_string()];
        let command = command.map(str::to_owned);
        let server = Server::start("nginx", port, &command, Stdio::null())?;
        Ok(Self { server, folder })
    }

    pub(super) fn url(&self) -> String {
        self.server.url("/")
    }

    /// Requests since the start, those for this number included.
    pub(super) fn requests(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.server.port()))?;
        write!(stream, "GET /counted HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        counted(&answer).with_context(|| format!("nginx does not say what it has counted: {answer}"))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The third number of the line below the names of stub_status.
fn counted(answer: &str) -> Option<u64> {
    let line = answer.lines().skip_while(|line| !line.contains("accepts handled requests")).nth(1)?;
    line.split_whitespace().nth(2)?.parse().ok()
}

/// Nothing is written and nothing is looked up; connections live as long as the client wants.
fn config(port: u16, folder: &str) -> String {
    format!(
        "daemon off; worker_processes 1; pid {folder}/pid; error_log /dev/null;\n\
         events {{ worker_connections 20000; multi_accept on; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; default_type text/plain;\n\
         client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
         uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
         server {{ listen 127.0.0.1:{port} backlog=8192; location = / {{ return 200 \"ok\"; }}\n\
         location = /counted {{ stub_status; }} }} }}\n"
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_number_is_found() {
        let answer = "HTTP/1.1 200 OK\r\n\r\nActive connections: 1 \nserver accepts handled requests\n 7 8 1234 \nReading: 0";
        assert_eq!(super::counted(answer), Some(1234));
        assert_eq!(super::counted("HTTP/1.1 404 Not Found\r\n\r\n"), None);
    }
}

//! Profiles from a Seawall service's own `/debug/pprof`, as folded stacks.

use std::net::SocketAddr;
use std::time::Duration;

use super::model::{Profile, ProfileKind};
use super::text::{About, folded};
use crate::signals::http::{self, FetchError, Request};

/// A profile's text may be this long.
const MAX_BYTES: usize = 64 << 20;
/// Besides the profile's own length.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a service's profiles are.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its admin listener.
    pub admin: SocketAddr,
    /// The token that opens the profiler; none if it has none. Not shown by `Debug` of anything that is printed.
    pub token: Option<Secret>,
}

/// A text that is not printed.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Endpoint {
    /// Fetches one profile. CPU and off-CPU take `seconds`; block is what was waited meanwhile; heap is of the moment.
    ///
    /// # Errors
    /// When the listener cannot be reached or refuses; its status says why (501: not available in that service).
    pub fn fetch(&self, kind: ProfileKind, seconds: u32) -> Result<Profile, FetchError> {
        let name = match kind {
            ProfileKind::Cpu => "profile",
            ProfileKind::Heap => "heap",
            ProfileKind::Block => "block",
            ProfileKind::OffCpu => "offcpu",
        };
        let over_time = if kind == ProfileKind::Heap { String::new() } else { format!("&seconds={seconds}") };
        let path = format!("/debug/pprof/{name}?format=folded{over_time}");
        let request = Request {
            path: &path,
            bearer: self.token.as_ref().map(|token| token.0.as_str()),
            max_bytes: MAX_BYTES,
            timeout: Duration::from_secs(u64::from(seconds)) + PATIENCE,
        };
        let body = http::request(self.admin, &request)?;
        let about = About {
            kind,
            source: format!("/debug/pprof/{name}"),
            seconds: f64::from(seconds),
            // Times come in nanoseconds.
            scale: if kind == ProfileKind::Heap { 1.0 } else { 1e-9 },
            comments: Vec::new(),
        };
        Ok(folded(&String::from_utf8_lossy(&body), about))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn asks_for_folded_stacks_with_the_token() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let admin = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let n = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\nmain;f 1500000000\n").unwrap();
            String::from_utf8_lossy(&request[..n]).into_owned()
        });
        let endpoint = Endpoint { admin, token: Some(Secret("open".into())) };
        let profile = endpoint.fetch(ProfileKind::Cpu, 1).unwrap();
        let request = server.join().unwrap();
        assert!(
            request.starts_with("GET /debug/pprof/profile?format=folded&seconds=1 HTTP/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nAuthorization: Bearer open\r\n"), "{request}");
        assert_eq!((profile.total, profile.stacks[0].frames.join(";")), (1.5, "main;f".to_owned()));
        assert!(!format!("{endpoint:?}").contains("open"));
    }
}

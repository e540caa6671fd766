//! ACME against Pebble, the test server of Let's Encrypt, with its own resolver: an account, a real `tls-alpn-01`
//! challenge on our port, a certificate; and the same certificate again after a restart, without the authority.

use std::fs;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use seawall_core::metrics::Registry;
use seawall_http::{AcmeConfig, App, Context, Listen, Tls, TlsConfig};

use crate::certificates::Authority;
use crate::live::{Live, wait_until};
use crate::{sample, workers};

/// Programs under way.
struct Programs(Vec<Child>);

impl Programs {
    #[track_caller]
    fn start(&mut self, mut command: Command) {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        self.0.push(started.unwrap_or_else(|error| {
            panic!("{command:?} does not start ({error}); `cargo xtask setup` installs it")
        }));
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        for program in &mut self.0 {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Pebble, which looks for us at this port.
struct Pebble {
    _programs: Programs,
    /// Who signed its own certificate.
    own: Authority,
    management: u16,
}

impl Pebble {
    fn start(directory: u16, ours: u16) -> Self {
        let own = Authority::new();
        let signed = own.sign(&["localhost"]);
        let certificate = own.file("pebble.pem", &signed.certificate.pem());
        let key = own.file("pebble.key", &signed.key.serialize_pem());
        let management = free_port();
        let config = format!(
            r#"{{"pebble": {{"listenAddress": "127.0.0.1:{directory}", "managementListenAddress": "127.0.0.1:{management}",
                "certificate": "{}", "privateKey": "{}", "httpPort": 1, "tlsPort": {},
                "ocspResponderURL": "", "externalAccountBindingRequired": false}}}}"#,
            certificate.display(),
            key.display(),
            ours
        );
        let config = own.file("pebble.json", &config);
        let names = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let manage_names = free_port();
        let mut programs = Programs(Vec::new());
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args([
            "-defaultIPv4",
            "127.0.0.1",
            "-defaultIPv6",
            "",
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
        ]);
        resolver.args(["-dns01", &names.to_string(), "-management", &format!("127.0.0.1:{manage_names}")]);
        programs.start(resolver);
        wait_until(|| listens(manage_names));
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(config).args(["-dnsserver", &names.to_string()]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1");
        programs.start(pebble);
        wait_until(|| listens(directory) && listens(management));
        Self { _programs: programs, own, management }
    }

    /// The certificate of the authority that Pebble is, as a file.
    fn root(&self) -> PathBuf {
        let url = format!("https://localhost:{}/roots/0", self.management);
        let path = self.own.folder.path().join("root.pem");
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--insecure", &url, "--output"]).arg(&path);
        let status = curl.status().expect("curl does not start; `cargo xtask setup` installs it");
        assert!(status.success());
        path
    }
}

/// What curl gets for this name, if it trusts `root`.
fn curl(name: &str, port: u16, root: &Path) -> String {
    let url = format!("https://{name}:{port}/");
    let mut command = Command::new("curl");
    command.args([
        "--silent",
        "--max-time",
        "30",
        "--resolve",
        &format!("{name}:{port}:127.0.0.1"),
        &url,
        "--cacert",
    ]);
    String::from_utf8(command.arg(root).output().unwrap().stdout).unwrap()
}

/// A server that gets its certificate from the authority at this port, and keeps it in `folder`.
fn serve(listen: Listen, directory: u16, own_root: &Path, folder: &Path) -> (Live, Registry) {
    let config = AcmeConfig {
        domains: vec!["shop.test".to_owned(), "api.shop.test".to_owned()],
        contact: vec!["mailto:ops@shop.test".to_owned()],
        terms_agreed: true,
        directory: format!("https://localhost:{directory}/dir"),
        directory_root: Some(own_root.to_path_buf()),
        folder: folder.to_path_buf(),
    };
    let tls = Tls::new(&TlsConfig { acme: Some(config), ..TlsConfig::default() }).unwrap();
    let app =
        App::new().get("/", async |c: Context| c.tls().unwrap().server_name().map(str::to_owned).unwrap());
    let registry = app.metrics();
    (Live::on(listen.tls(tls), app, workers(1)), registry)
}

#[test]
fn a_certificate_comes_by_itself_and_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("acme");
    let directory = free_port();
    let ours = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = ours.local_addr().unwrap().port();
    let pebble = Pebble::start(directory, port);
    let own_root = pebble.own.file("own.pem", &pebble.own.pem());
    let (live, registry) = serve(Listen::from(ours), directory, &own_root, &keep);
    let orders = |outcome| sample(&registry, "seawall_acme_orders_total", &format!("outcome={outcome}"));
    wait_until(|| orders("ok") + orders("failed") > 0);
    assert_eq!((orders("ok"), orders("failed")), (1, 0));
    let root = fs::read(pebble.root()).unwrap();
    let trusted = folder.path().join("root.pem");
    fs::write(&trusted, root).unwrap();
    for name in ["shop.test", "api.shop.test"] {
        assert_eq!(curl(name, port, &trusted), name);
    }
    live.stop();
    drop(pebble);
    assert!(!listens(directory), "the authority is gone");
    // Its own root is gone with it, and nobody looks for it: nothing has to be ordered.
    let (live, _) = serve(Listen::tcp("127.0.0.1:0"), directory, &own_root, &keep);
    assert_eq!(curl("shop.test", live.addr.port(), &trusted), "shop.test");
    live.stop();
}

#[test]
fn an_authority_that_cannot_be_reached_is_counted_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let own = Authority::new();
    let own_root = own.file("own.pem", &own.pem());
    let listen = Listen::tcp("127.0.0.1:0");
    let (live, registry) = serve(listen, free_port(), &own_root, &folder.path().join("acme"));
    let failed = || sample(&registry, "seawall_acme_orders_total", "outcome=failed");
    wait_until(|| failed() == 1);
    assert_eq!(curl("shop.test", live.addr.port(), &own_root), "", "there is no certificate");
    live.stop();
}

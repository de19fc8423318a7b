// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::process::{free_port, leashed};

/// A Redis of a test's own, on this machine.
pub struct Redis {
    folder: TempDir,
    port: u16,
    is_tls: bool,
    process: Option<Child>,
}

impl Redis {
    /// One that speaks TLS, with a certificate for `localhost` by an [authority](Self::authority) of its own.
    pub fn with_tls() -> Self {
        Self::begun(true)
    }

    /// One that does not.
    pub fn plain() -> Self {
        Self::begun(false)
    }

    fn begun(is_tls: bool) -> Self {
        let folder =
            tempfile::Builder::new().prefix("bailiwick-redis.").tempdir().expect("a temporary folder");
        if is_tls {
            certify(folder.path());
        }
        let mut redis = Self { folder, port: free_port(), is_tls, process: None };
        redis.start();
        redis
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", if self.is_tls { "rediss" } else { "redis" }, self.port)
    }

    /// The certificate of the authority that signed its own.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Kills it, with all that it knew.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("a started Redis");
        process.kill().expect("it was still there");
        process.wait().expect("it ends");
    }

    /// Starts it again where it was.
    #[track_caller]
    pub fn start(&mut self) {
        let mut command = leashed(&PathBuf::from("redis-server"));
        let port = self.port.to_string();
        command.args(["--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--daemonize", "no"]);
        if self.is_tls {
            let at = |name: &str| self.folder.path().join(name).display().to_string();
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", &at("server.pem"), "--tls-key-file", &at("server.key")]);
            command.args(["--tls-ca-cert-file", &at("authority.pem")]);
        } else {
            command.args(["--port", &port]);
        }
        command.current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server: scripts/install-test-deps installs it"));
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "Redis does not listen");
            std::thread::yield_now();
        }
    }

    /// The names of all that a Redis without TLS keeps.
    pub fn keys(&self) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.write_all(b"KEYS *\r\nQUIT\r\n").expect("it reads");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("it answers");
        said.lines().filter(|line| !line.starts_with(['*', '$', '+'])).map(str::to_owned).collect()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Makes an authority, and a certificate by it for this machine: `authority.pem`, `server.pem`, `server.key`.
pub fn certify(folder: &Path) {
    let at = |name: &str| folder.join(name).display().to_string();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").args(arguments).output().expect("openssl");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let own = ["req", "-x509", "-days", "30", "-subj", "/CN=An authority of tests"];
    openssl(&[&own[..], &key, &["-keyout", &at("authority.key"), "-out", &at("authority.pem")]].concat());
    let ask = ["req", "-subj", "/CN=localhost"];
    openssl(&[&ask[..], &key, &["-keyout", &at("server.key"), "-out", &at("server.csr")]].concat());
    fs::write(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").expect("a file");
    let sign = ["x509", "-req", "-days", "30", "-CAcreateserial"];
    let with = ["-in", &at("server.csr"), "-CA", &at("authority.pem"), "-CAkey", &at("authority.key")];
    openssl(&[&sign[..], &with, &["-extfile", &at("names"), "-out", &at("server.pem")]].concat());
}

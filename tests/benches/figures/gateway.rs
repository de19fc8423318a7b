// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The gateway: what recording every request costs, how many tokens a second are issued and looked up, and what a proxy that asks who
//! may pass adds to one that does not.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use harness::{Engine, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{Place, cpu_of, size};
use crate::report::{Figure, Goal, Report};
use crate::server::Server;
use crate::statistics::median;
use crate::turns::{rounds, turn};
use crate::wire::Wire;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 8;

/// Prints the figures of this theme.
pub fn figures(report: &mut Report) {
    report.theme("Gateway: requests recorded, tokens, and forward-auth behind nginx");
    for engine in [Engine::Sqlite, Engine::Postgresql] {
        audit(report, engine);
        tokens(report, engine);
    }
    if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
        println!("nginx is not installed: forward-auth is not measured");
        return;
    }
    forward_auth(report);
}

/// One server records every request, the other none; they take turns.
fn audit(report: &mut Report, engine: Engine) {
    let sides = ["all", "off"].map(|kept| {
        let mut server = Server::prepared(engine, Place::Memory);
        server.world.set("BAILIWICK_REQUEST_AUDIT", kept);
        server.world.set("BAILIWICK_REQUEST_AUDIT_SECONDS", "1");
        server.world.start();
        let laptop = server.world.machine();
        laptop.sign_up();
        let token = fs::read_to_string(laptop.config().join("session")).expect("a session");
        (server, token.trim().to_owned())
    });
    let run = |(server, token): &(Server, String)| {
        Load::get(&server.world.url(), "/api/v1/account", token).run(&[server.world.pid()])
    };
    let (mut rates, mut work) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..=2 * rounds() {
        for (side, (rates, work)) in sides.iter().zip(rates.iter_mut().zip(work.iter_mut())) {
            let taken = run(side);
            if round > 0 {
                rates.push(taken.rate);
                work.push(taken.work);
            }
        }
    }
    let of = |all: &[Vec<f64>; 2]| (median(&all[0]), median(&all[1]));
    let ((with, without), (work, bare)) = (of(&rates), of(&work));
    report.add(
        Figure::new(format!("requests a second, each recorded, {engine}"), with, "/s")
            .times("not recorded", without)
            .goal(Goal::AtLeast(0.97)),
    );
    report.add(
        Figure::new(format!("server's processor time for one, recorded, {engine}"), work * 1e6, "µs")
            .times("not recorded", bare * 1e6),
    );
}

/// A program of a tenant that gets tokens for its service account, and asks what one is worth.
fn tokens(report: &mut Report, engine: Engine) {
    let server = Server::started(engine, Place::Memory);
    let laptop = server.world.machine();
    laptop.sign_up();
    let tenant = text(&laptop.run(["tenant", "create", "Acme", "--json"]).json(), "id");
    let run = |arguments: &[&str]| {
        let ends = ["--tenant", tenant.as_str(), "--json"];
        laptop.run(["tenant"].iter().chain(arguments).chain(ends.iter())).json()
    };
    let service = text(&run(&["service-accounts", "create", "nightly"]), "id");
    let program =
        ["--grants", "client_credentials", "--scopes", "device.read", "--service-account", &service];
    let client = run(&[&["clients", "create", "Nightly"][..], &program].concat());
    let pair = format!("{}:{}", text(&client, "client_id"), text(&client, "client_secret"));
    let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
    let url = server.world.url();
    let ask = Load::form(&url, "/oauth/token", &basic, "grant_type=client_credentials");
    let token = text(&Wire::to(&url).exchange(&ask.request).json(), "access_token");
    let look = Load::form(&url, "/oauth/introspect", &basic, &format!("token={token}"));
    for (what, load) in [("tokens issued", ask), ("tokens looked up by introspection", look)] {
        let taken: Vec<_> = (0..=rounds()).map(|_| load.run(&[server.world.pid()])).skip(1).collect();
        let of = |part: fn(&Taken) -> f64| median(&taken.iter().map(part).collect::<Vec<_>>());
        report.add(Figure::new(format!("{what}, {engine}"), of(|taken| taken.rate), "/s"));
        let slow = of(|taken| taken.p99 * 1e3);
        report.add(Figure::new(format!("the slowest hundredth: {what}, {engine}"), slow, "ms"));
    }
}

fn text(document: &Value, name: &str) -> String {
    document[name].as_str().unwrap_or_else(|| panic!("no {name}: {document}")).to_owned()
}

/// nginx in front of nginx, with and without a question to Bailiwick for each request.
fn forward_auth(report: &mut Report) {
    let server = Server::started(Engine::Sqlite, Place::Memory);
    let laptop = server.world.machine();
    laptop.sign_up();
    let token = fs::read_to_string(laptop.config().join("session")).expect("a session").trim().to_owned();
    let nginx = Nginx::before(&server.world.url());
    let run = |path: &'static str| {
        let pids = [nginx.process.id(), server.world.pid()];
        Load::get(&nginx.url, path, &token).run(&pids)
    };
    let (mut alone, mut asking) = (Vec::new(), Vec::new());
    for round in 0..=rounds() {
        let taken = (run("/alone/"), run("/asking/"));
        if round > 0 {
            alone.push(taken.0);
            asking.push(taken.1);
        }
    }
    let of = |all: &[Taken], part: fn(&Taken) -> f64| median(&all.iter().map(part).collect::<Vec<_>>());
    let rate = |taken: &Taken| taken.rate;
    report.add(
        Figure::new("requests a second through nginx that asks", of(&asking, rate), "/s")
            .times("nginx alone", of(&alone, rate)),
    );
    let slow = |taken: &Taken| taken.p99 * 1e3;
    report.add(
        Figure::new("the slowest hundredth of them", of(&asking, slow), "ms")
            .times("nginx alone", of(&alone, slow)),
    );
    let work = |taken: &Taken| taken.work * 1e6;
    let added = of(&asking, work) - of(&alone, work);
    report.add(Figure::new("processor time that asking adds to one", added, "µs").goal(Goal::AtMost(60.0)));
}

/// Requests of one kind, by several connections at once.
struct Load {
    url: String,
    request: Vec<u8>,
}

/// What a turn took.
struct Taken {
    /// Requests a second.
    rate: f64,
    /// Processor time of the processes for one request, in seconds.
    work: f64,
    /// What 99 of 100 requests did not take longer than, in seconds.
    p99: f64,
}

impl Load {
    fn get(url: &str, path: &str, token: &str) -> Self {
        Load { url: url.to_owned(), request: Wire::to(url).request("GET", path, Some(token), "", None) }
    }

    fn form(url: &str, path: &str, authorization: &str, form: &str) -> Self {
        let host = url.trim_start_matches("http://");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {authorization}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        Load { url: url.to_owned(), request: request.into_bytes() }
    }

    fn run(&self, pids: &[u32]) -> Taken {
        let worked = || pids.iter().map(|pid| cpu_of(*pid)).sum::<Duration>();
        let (done, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let (before, begun) = (worked(), Instant::now());
        let mut times: Vec<f64> = thread::scope(|scope| {
            let working: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    let (done, is_over) = (&done, &is_over);
                    scope.spawn(move || {
                        let mut wire = Wire::to(&self.url);
                        let mut times = Vec::new();
                        while !is_over.load(Ordering::Relaxed) {
                            let asked = Instant::now();
                            wire.exchange(&self.request).succeeded();
                            times.push(asked.elapsed().as_secs_f64());
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                        times
                    })
                })
                .collect();
            // Longer than other turns: the system counts processor time by hundredths of a second.
            thread::sleep(turn() * size(3, 2));
            is_over.store(true, Ordering::Relaxed);
            working.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
        });
        let (time, work) = (begun.elapsed(), worked() - before);
        times.sort_by(f64::total_cmp);
        let done = done.into_inner() as f64;
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        Taken { rate: done / time.as_secs_f64(), work: work.as_secs_f64() / done, p99 }
    }
}

/// nginx with one worker, which serves two bytes, and a proxy before that: `/alone/`, and `/asking/`.
struct Nginx {
    process: Child,
    url: String,
    _folder: TempDir,
}

impl Nginx {
    fn before(bailiwick: &str) -> Self {
        let folder = Place::Memory.folder();
        let (front, back) = (free_port(), free_port());
        let bailiwick = bailiwick.trim_start_matches("http://");
        let at = |name: &str| folder.path().join(name).display().to_string();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\naccess_log off;\n{paths}\n\
             keepalive_requests 1000000000;\n\
             upstream service {{ server 127.0.0.1:{back}; keepalive 64; }}\n\
             upstream bailiwick {{ server {bailiwick}; keepalive 64; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:{back}; return 200 ok; }}\n\
             server {{ listen 127.0.0.1:{front};\n\
               proxy_http_version 1.1; proxy_set_header Connection \"\";\n\
               location = /check {{ internal; proxy_pass http://bailiwick/api/v1/forward-auth; proxy_method GET;\n\
                 proxy_pass_request_body off; proxy_set_header Content-Length \"\"; proxy_set_header Connection \"\"; }}\n\
               location /alone/ {{ proxy_pass http://service; }}\n\
               location /asking/ {{ auth_request /check; auth_request_set $user $upstream_http_x_bailiwick_user;\n\
                 proxy_set_header X-Bailiwick-User $user; proxy_set_header Connection \"\"; proxy_pass http://service; }}\n\
             }}\n}}\n",
            at("pid"),
            at("error.log"),
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).expect("a file");
        let process = begin(&file);
        let url = format!("http://127.0.0.1:{front}");
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", front)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nginx does not listen");
            thread::yield_now();
        }
        Self { process, url, _folder: folder }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn begin(file: &Path) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "nginx", "-c"]).arg(file);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nginx")
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! nginx in front of a plain service, set up as `docs/openid.md` says.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use harness::{Request, World, free_port, on_both_engines};
use serde_json::{Value, json};

use super::app::{House, said, text};

on_both_engines!(
    nginx_lets_through_whom_bailiwick_knows_and_says_who_that_is,
    too_many_requests_by_one_address_are_told_as_that_and_keep_no_other_out,
);

/// A service that knows nothing: it answers with the headers that it was sent.
fn plain_service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(length @ 1..) => request.extend_from_slice(&buffer[..length]),
                    _ => break,
                }
            }
            let head = String::from_utf8_lossy(&request).into_owned();
            let (head, _) = head.split_once("\r\n\r\n").unwrap_or((&head, ""));
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            let length: usize = length.unwrap_or(0);
            while request.len() < head.len() + 4 + length {
                match stream.read(&mut buffer) {
                    Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
                    _ => break,
                }
            }
            let headers: Vec<Value> = head
                .lines()
                .skip(1)
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| json!([name.to_lowercase(), value]))
                .collect();
            let body = json!(headers).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// nginx with the configuration of the documentation, for this server and this service.
struct Nginx {
    process: Child,
    url: String,
}

impl Nginx {
    fn begin(world: &World, service: &str) -> Self {
        let documentation = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openid.md");
        let documentation = fs::read_to_string(documentation).expect("docs/openid.md");
        let (_, rest) = documentation.split_once("```nginx\n").expect("a configuration in docs/openid.md");
        let (configuration, _) = rest.split_once("```").expect("its end");
        let port = free_port();
        let configuration = configuration
            .replace("https://bailiwick.example", &world.url())
            .replace("http://app.internal:8080", &format!("http://{service}"))
            .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"));
        let folder = world.folder().join("nginx");
        fs::create_dir_all(&folder).expect("a folder");
        let at = |name: &str| folder.join(name).display().to_string();
        let file = folder.join("nginx.conf");
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};\n", at(kind)))
            .concat();
        let whole = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log {};\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{configuration}\n}}\n",
            at("pid"),
            at("error.log"),
        );
        fs::write(&file, whole).expect("a configuration");
        let process = Command::new("nginx")
            .args(["-e", &at("error.log"), "-p", &at(""), "-c"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx: scripts/install-test-deps installs it");
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = fs::read_to_string(folder.join("error.log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(30), "nginx does not listen: {log}");
            thread::sleep(Duration::from_millis(20));
        }
        Nginx { process, url: format!("http://127.0.0.1:{port}") }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn nginx_lets_through_whom_bailiwick_knows_and_says_who_that_is(world: World) {
    let house = House::founded(&world);
    let app = house.usual();
    let token = app.tokens(&house.owner, &[]).access;
    let account = text(&house.owner.run(["whoami", "--json"]).json()["account"]);
    let nginx = Nginx::begin(&world, &plain_service());

    let spoofed = |request: Request| {
        request
            .header("x-bailiwick-user", "acc_00000000000000000000000000000000")
            .header("X-BAILIWICK-Agent", "somebody")
            .header("x-bailiwick-identity", "e30.e30.")
            .header("X_Bailiwick_User", "acc_00000000000000000000000000000000")
            .header("x-bailiwick_client", "somebody")
            .header("x-bailiwick-tenant", "ten_00000000000000000000000000000000")
    };
    let passed = spoofed(Request::new("GET", "/orders?x=1")).bearer(&token).send(&nginx.url);
    assert_eq!(passed.status, 200, "{}", said(&passed));
    let seen = passed.json();
    let of = |name: &str| -> Vec<String> {
        let headers = seen.as_array().expect("headers").iter();
        headers.filter(|pair| pair[0] == name).map(|pair| text(&pair[1])).collect()
    };
    // Each once, and from Bailiwick alone.
    assert_eq!(of("x-bailiwick-user"), [account]);
    assert_eq!(of("x-bailiwick-tenant"), [house.tenant.as_str()]);
    assert_eq!(of("x-bailiwick-client"), [app.client_id.as_str()]);
    assert!(of("x-bailiwick-agent").is_empty(), "{seen}");
    assert_eq!(of("x-bailiwick-identity").len(), 1);
    assert_ne!(of("x-bailiwick-identity"), ["e30.e30."]);
    assert!(of("authorization").is_empty(), "the service has no use for the token");
    let names = seen.as_array().expect("headers").iter().map(|pair| text(&pair[0]));
    // What many services would take for the same name.
    assert_eq!(names.filter(|name| name.contains('_')).count(), 0, "{seen}");

    for (what, request) in [
        ("nobody", spoofed(Request::new("GET", "/orders"))),
        ("nonsense", spoofed(Request::new("GET", "/orders")).bearer("nonsense")),
        ("the checking route itself", spoofed(Request::new("GET", "/_bailiwick"))),
    ] {
        let refused = request.send(&nginx.url);
        assert!([401, 404].contains(&refused.status), "{what}: {}", refused.status);
    }
    // A body does not get in the way, and an end is one at once.
    let posted = Request::new("POST", "/orders").bearer(&token).body(vec![b'x'; 100_000]).send(&nginx.url);
    assert_eq!(posted.status, 200, "{}", said(&posted));
    house.owner.run(["logout"]).done();
    assert_eq!(Request::new("GET", "/orders").bearer(&token).send(&nginx.url).status, 401);
}

fn too_many_requests_by_one_address_are_told_as_that_and_keep_no_other_out(mut world: World) {
    let house = House::founded(&world);
    let token = house.usual().tokens(&house.owner, &[]).access;
    world.set("BAILIWICK_TRUSTED_PROXIES", "127.0.0.1");
    world.set("BAILIWICK_REQUESTS_PER_SECOND", "1");
    world.set("BAILIWICK_REQUEST_BURST", "5");
    world.restart();
    let nginx = Nginx::begin(&world, &plain_service());

    let ask = || Request::new("GET", "/orders").bearer(&token).send(&nginx.url);
    assert_eq!(ask().status, 200);
    let refused = (0..20).map(|_| ask()).find(|answer| answer.status != 200).expect("it comes to an end");
    assert_eq!(refused.status, 429, "{}", said(&refused));
    assert!(refused.header("retry-after").expect("how long").parse::<u64>().expect("seconds") >= 1);
    assert_eq!(from("127.0.0.9", &nginx.url, &token), "HTTP/1.1 200 OK");
}

/// The first line of the answer to one who asks from this address of the machine.
fn from(address: &str, url: &str, token: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let host = url.trim_start_matches("http://");
    let request = format!(
        "GET /orders HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let answered = async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(format!("{address}:0").parse().expect("an address"))?;
        let mut stream = socket.connect(host.parse().expect("an address")).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(answered).expect("an answer");
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A real browser with a virtual authenticator (WebDriver's "virtual authenticators", WebAuthn Level 3 section 11), driven
//! through its DevTools pipe: no other program, no open port.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::leashed;

/// Chromium without a window, on one page.
pub struct Chromium {
    browser: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    sent: u64,
    session: Option<String>,
    _profile: TempDir,
}

impl Chromium {
    /// Opens a page, in a browser that has an authenticator with user verification, resident keys and PRF. The browser is
    /// `BAILIWICK_CHROMIUM` or Debian's; `scripts/install-test-deps` installs it.
    #[track_caller]
    pub fn on(page: &str) -> Self {
        let profile = tempfile::Builder::new().prefix("bailiwick-chromium.").tempdir().expect("a folder");
        // The browser reads commands from descriptor 3 and answers on 4; what it prints says nothing.
        let mut browser = leashed(&"bash".into())
            .arg("-c")
            .arg(r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#)
            .arg(browser())
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let commands = browser.stdin.take().expect("piped");
        let answers = BufReader::new(browser.stdout.take().expect("piped"));
        let mut this = Self { browser, commands, answers, sent: 0, session: None, _profile: profile };
        let target = this.call("Target.createTarget", json!({ "url": page }))["targetId"].clone();
        let attached = this.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        this.session = attached["sessionId"].as_str().map(str::to_owned);
        this.call("WebAuthn.enable", json!({}));
        let options = json!({
            "protocol": "ctap2", "ctap2Version": "ctap2_1", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "hasPrf": true, "automaticPresenceSimulation": true,
        });
        this.call("WebAuthn.addVirtualAuthenticator", json!({ "options": options }));
        // The page is there when its address is; until then an empty one is.
        for _ in 0..600 {
            if this.evaluate("`${location.href} ${document.readyState}`") == json!(format!("{page} complete"))
            {
                return this;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the browser shows {page}");
    }

    /// What an expression of the page's language comes to, awaited when it is a promise.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer["exceptionDetails"].is_null(), "the page threw: {answer}");
        answer["result"]["value"].clone()
    }

    #[track_caller]
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({ "id": self.sent, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).and_then(|()| self.commands.flush()).expect("the browser listens");
        loop {
            let mut answer = Vec::new();
            self.answers.read_until(0, &mut answer).expect("the browser answers");
            assert_eq!(
                answer.pop(),
                Some(0),
                "{method}: the browser ended; is {} there?",
                browser().display()
            );
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            // Whatever else it tells is not asked for.
            if answer["id"] == json!(self.sent) {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

fn browser() -> PathBuf {
    std::env::var_os("BAILIWICK_CHROMIUM").map_or_else(|| "chromium-headless-shell".into(), PathBuf::from)
}

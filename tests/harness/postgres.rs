// SPDX-License-Identifier: Apache-2.0 OR MIT

use std::env;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use crate::unique;

/// A database of its own with the two roles that an operator prepares: one that owns it and migrates, and one that
/// serves, owns nothing and cannot pass row-level security.
pub struct Database {
    name: String,
    owner: String,
    app: String,
    password: String,
}

/// Who speaks to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// PostgreSQL's superuser.
    Superuser,
    /// Owns the database; runs the migrations.
    Owner,
    /// Serves.
    App,
}

impl Database {
    /// Makes an empty database and its two roles.
    pub fn create() -> Self {
        Self::create_with(None)
    }

    /// The same, with its files in this folder.
    pub fn create_in(folder: &Path) -> Self {
        // PostgreSQL's own user has to own it; where the tests do not run as root, that is who runs them.
        let _ = Command::new("chown").arg("postgres:").arg(folder).stderr(Stdio::null()).status();
        Self::create_with(Some(folder))
    }

    fn create_with(folder: Option<&Path>) -> Self {
        let name = unique("bw_");
        let space = format!("{name}_space");
        let this = Self {
            owner: format!("{name}_owner"),
            app: format!("{name}_app"),
            password: unique("pg-"),
            name,
        };
        let Self { name, owner, app, password } = &this;
        let cluster = Cluster::get();
        let options = folder.map_or(String::new(), |folder| {
            let statement = format!("CREATE TABLESPACE {space} LOCATION '{}'", folder.display());
            psql(&cluster.url, &statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
            format!("TABLESPACE {space}")
        });
        for statement in [
            format!(
                "CREATE ROLE {owner} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD '{password}'"
            ),
            format!(
                "CREATE ROLE {app} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB PASSWORD '{password}'"
            ),
            format!("CREATE DATABASE {name} OWNER {owner} {options}"),
            format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
            format!("GRANT CONNECT ON DATABASE {name} TO {app}"),
        ] {
            psql(&cluster.url, &statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
        this
    }

    /// Where a role reaches the database.
    pub fn url(&self, role: Role) -> String {
        let (scheme_and_user, host) = Cluster::get().url.rsplit_once('@').expect("a URL with a user");
        let host = host.split('/').next().expect("a host");
        match role {
            Role::Superuser => format!("{scheme_and_user}@{host}/{}", self.name),
            Role::Owner => format!("postgres://{}:{}@{host}/{}", self.owner, self.password, self.name),
            Role::App => format!("postgres://{}:{}@{host}/{}", self.app, self.password, self.name),
        }
    }

    /// The role's name.
    pub fn role(&self, role: Role) -> &str {
        match role {
            Role::Superuser => "postgres",
            Role::Owner => &self.owner,
            Role::App => &self.app,
        }
    }

    /// The password of both roles: a secret to look for.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Runs statements in one session and gives what they print: a row a line, columns by `|`. The error is what
    /// PostgreSQL said.
    pub fn run(&self, role: Role, sql: &str) -> Result<String, String> {
        psql(&self.url(role), sql)
    }

    /// Runs statements that must succeed, and gives the rows.
    #[track_caller]
    pub fn rows(&self, role: Role, sql: &str) -> Vec<String> {
        let printed = self.run(role, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        printed.lines().map(str::to_owned).collect()
    }

    /// Everything in it as SQL text.
    pub fn dump(&self) -> Vec<u8> {
        let output = Command::new("pg_dump").arg(self.url(Role::Superuser)).output().expect("pg_dump");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The data folder of the cluster that it lives in, where that is known.
    pub fn cluster_data() -> Option<PathBuf> {
        Cluster::get().data.clone()
    }

    /// Writes everything that is still in memory to the data folder.
    pub fn checkpoint(&self) {
        self.rows(Role::Superuser, "CHECKPOINT");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let url = &Cluster::get().url;
        let Self { name, owner, app, .. } = self;
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("DROP TABLESPACE IF EXISTS {name}_space"),
            format!("DROP ROLE IF EXISTS {app}"),
            format!("DROP ROLE IF EXISTS {owner}"),
        ] {
            // What stays behind goes with the cluster.
            let _ = psql(url, &statement);
        }
    }
}

fn psql(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .arg(url)
        .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--set", "ON_ERROR_STOP=1"])
        .args(["--command", sql])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("psql: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The PostgreSQL of this run: the one that was given, or one that lives as long as this process.
struct Cluster {
    url: String,
    data: Option<PathBuf>,
    /// The cluster's script reads until this closes, which it does even if this process is killed.
    _lifeline: Option<(Child, ChildStdin)>,
}

impl Cluster {
    fn get() -> &'static Self {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| match env::var("BAILIWICK_TEST_PG") {
            Ok(url) => {
                Self { url, data: env::var_os("BAILIWICK_TEST_PG_DATA").map(PathBuf::from), _lifeline: None }
            }
            Err(_) => Self::start(),
        })
    }

    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/with-postgres");
        let mut child = Command::new(&script)
            .args(["sh", "-c", "printf '%s\\n' \"$BAILIWICK_TEST_PG\" \"$BAILIWICK_TEST_PG_DATA\"; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let lifeline = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().and_then(Result::ok).expect("scripts/with-postgres starts PostgreSQL");
        let (url, data) = (line(), PathBuf::from(line()));
        Self { url, data: Some(data), _lifeline: Some((child, lifeline)) }
    }
}

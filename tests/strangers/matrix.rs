// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Every route × every kind of stranger, on the ids of things that are there. Each cell is asked twice: of what is there and
//! of what is not. What comes back must be the refusal that this stranger gets, and the same both times: else it is a leak.
//!
//! The table is written to `target/tmp/strangers-ENGINE.md`. A kind of stranger is one line in [`strangers`].

use std::fmt::Write as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use harness::{Exchange, Machine, Person, Request, World, on_both_engines};
use serde_json::{Value, json};

use super::{
    About, FOR_API_KEYS, Home, Ids, Route, Row, assert_rows_are_the_routes, routes, rows, said,
    session_token, text, without_its_own,
};

on_both_engines!(no_stranger_gets_anything_from_any_route);

/// Somebody whom Ada's things are not for.
struct Stranger {
    name: &'static str,
    bearer: Option<String>,
    how: How,
}

/// How somebody is a stranger, and so how they are refused.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// Shows nothing that lives: 401 everywhere.
    Unknown,
    /// Lives, and has nothing to do with any of it: it is not there.
    Elsewhere,
    /// The same, and an operator of the platform, whom the tenant lets in no more.
    OnceLetIn,
    /// The tenant knows them and shuts them out: 403 there, and in Ada's home as [`How::Elsewhere`].
    ShutOut,
    /// The platform suspended their account, a member of the tenant: 403 everywhere.
    Suspended,
    /// Ada's own API key, whose scopes are for other things: 403 everywhere.
    TooNarrow,
    /// A service account of Ada's tenant with such a key: 403 where service accounts may come.
    ServiceTooNarrow,
    /// A service account of Ada's tenant that is suspended: 403 where service accounts may come.
    ServiceShutOut,
    /// A service account of another tenant: where service accounts may come, it is not there.
    ServiceElsewhere,
}

/// What a narrow API key is for.
const NARROW: &str = "usage.read";
/// What it gets with that, or without any scope.
const FOR_THE_NARROW: [&str; 2] = ["read_usage", "read_own_api_key"];

/// What operators of the platform see of accounts: whether they are suspended.
const FOR_OPERATORS: [&str; 1] = ["read_account_standing"];

/// What the tenant tells of themselves to whom it shuts out: why.
const ABOUT_ONESELF: [&str; 2] = ["list_decisions", "explain_decision"];

/// What says of whoever asks who they are, to a proxy.
const PASSING: &str = "forward_auth";

/// A device that one may not see is not there, also for who belongs to the tenant. Nor is a collection.
const NOT_SEEN: [&str; 3] = ["read_tenant_device", "change_tenant_device", "delete_tenant_device"];

fn no_stranger_gets_anything_from_any_route(mut world: World) {
    world.set("BAILIWICK_REQUEST_BURST", "20000");
    world.set("BAILIWICK_NAME_SERVER", "127.0.0.1:1");
    world.restart();
    let (routes, rows) = (routes(), rows());
    assert_rows_are_the_routes(&rows, &routes);
    let ada = Home::made(&world);
    let (strangers, ids) = strangers(&mut world, &ada);
    // Once her last change stands in each history, so does what was before it.
    let last = ada.laptop.scratch("last");
    std::fs::write(&last, "last").unwrap();
    ada.laptop.put(&last, "last").done();
    ada.laptop.verified_records();
    run(&ada.laptop, &["organisations", "create", "Last"]);
    let is_last = |record: &Value| record["opened"]["after"]["name"] == "Last";
    until(|| tenants_log(&ada.laptop, &ids).iter().any(is_last));
    let histories = || [ada.laptop.log(), tenants_log(&ada.laptop, &ids)];
    let before = histories();

    let mut table = Table::new(&strangers);
    for row in &rows {
        let route = &routes[row.operation];
        for (name, ids, in_tenant) in places(row, route, &ids) {
            let cells = strangers.iter().map(|stranger| {
                Question { world: &world, row, route, stranger, ids: &ids, in_tenant }.cell()
            });
            table.add(&name, cells.collect());
        }
    }
    let leaks = table.written(&world);
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));

    // None of that did or wrote anything, and all of it is there for whom it is for.
    for (before, after) in before.iter().zip(histories()) {
        // That a key was used is noted by the server itself, and so is what Ada's own people and keys asked for; `request_audit` sees
        // that these say nothing of strangers.
        let noted =
            |record: &Value| ["maintenance.run", "request.record"].iter().any(|own| record["action"] == *own);
        let more: Vec<_> =
            after.iter().filter(|&record| !before.contains(record) && !noted(record)).collect();
        assert!(more.is_empty(), "a stranger writes nothing into a history: {more:?}");
    }
    ada.laptop.get("large", &ada.laptop.scratch("copy")).done();
    ada.laptop.verified_records();
    let verified = ada.laptop.run(["verify", "--tenant", &ids.0["tenant"], "--json"]).json();
    assert_eq!(verified["verified"], true, "{verified}");
}

/// Of what a route is asked, and whether that is in Ada's tenant rather than in her home. A history is both, and its tiles are
/// hashes and entries.
fn places(row: &Row, route: &Route, ids: &Ids) -> Vec<(String, Ids, bool)> {
    if !route.template.contains("{log}") {
        return vec![(row.operation.to_owned(), ids.clone(), route.template.contains("{tenant}"))];
    }
    let tiles: &[&str] =
        if route.template.contains("{tile}") { &["0/000.p/1", "entries/000.p/1"] } else { &[""] };
    let mut places = Vec::new();
    for of in ["home", "tenant"] {
        for tile in tiles {
            let mut ids = ids.clone();
            let log = ids.0[of].clone();
            ids.0.extend([("log", log), ("tile", (*tile).to_owned())]);
            places.push((format!("{} {tile} of the {of}", row.operation), ids, of == "tenant"));
        }
    }
    places
}

/// The strangers, and the ids of Ada's things as they know them.
fn strangers(world: &mut World, ada: &Home) -> (Vec<Stranger>, Ids) {
    let tenant = ada.ids.0["tenant"].clone();
    let mut ids = ada.ids.clone();
    let eve = Home::made(world);
    let [dan, bea, gus, cut, op, past, root] = [(); 7].map(|()| Newcomer::new(world));

    // Members of Ada's tenant: one who will be suspended, one who will be gone, one whose account will be suspended.
    for (who, label) in [(&bea, "Bea"), (&gus, "Gus"), (&cut, "Cut")] {
        let invitation = run(&ada.laptop, &["invitations", "create", "--label", label, "--role", "owner"]);
        run(&who.machine, &["join", &text(&invitation, "/link")]);
    }
    run(&ada.laptop, &["members", "suspend", "Bea"]);
    run(&ada.laptop, &["members", "remove", "Gus"]);

    // Operators of the platform whom the tenant let in: until it ended that, and until it ended by itself.
    world.stop();
    for (who, role) in [(&op, "operator"), (&past, "operator"), (&root, "administrator")] {
        let output = world.command("admin grant").args([&who.person.account_id, role]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    world.start();
    let account = text(&cut.machine.run(["whoami", "--json"]).json(), "/account");
    root.machine.run(["accounts", "suspend", &account, "--reason", "abuse", "--json"]).done();
    let grant = run(&ada.laptop, &["support", "grant", &op.person.account_id, "--reason", "help"]);
    assert_eq!(looks(world, &op, &tenant), 200, "while it is live");
    run(&ada.laptop, &["support", "end", &text(&grant, "/id")]);
    ids.0.insert("support_grant", text(&grant, "/id"));
    let short =
        json!({ "operator_number": past.person.account_id, "reason": "help", "ends_at": in_a_moment() });
    let path = format!("/api/v1/tenants/{tenant}/support-grants");
    let granted = Request::new("POST", &path).json(&short).bearer(&ada.token).send(&world.url());
    assert_eq!(granted.status, 201, "{}", said(&granted));
    assert_eq!(looks(world, &past, &tenant), 200, "until its time");
    until(|| looks(world, &past, &tenant) == 404);

    // Service accounts: administrators, so that nothing but what makes strangers of them is in their way.
    let service = |machine: &Machine, name: &str, scopes: &str| {
        let account = text(&run(machine, &["service-accounts", "create", name]), "/id");
        run(machine, &["grants", "give", &account, "admin"]);
        let key = run(machine, &["service-accounts", "create-key", &account, "--scopes", scopes]);
        (account, text(&key, "/id"), text(&key, "/key"))
    };
    let (_, _, narrow) = service(&ada.laptop, "narrow", NARROW);
    let (suspended, _, of_suspended) = service(&ada.laptop, "suspended", "*");
    run(&ada.laptop, &["service-accounts", "suspend", &suspended]);
    let (account, key, revoked) = service(&ada.laptop, "revoked", "*");
    run(&ada.laptop, &["service-accounts", "revoke-key", &account, &key]);
    let (_, _, of_eves) = service(&eve.laptop, "hers", "*");

    let arguments = ["api-keys", "create", "--no-unlock", "--scopes", NARROW, "--json"];
    let narrow_api_key = text(&ada.laptop.run(arguments).json(), "/api_key");

    let stranger = |name, bearer: &str, how| Stranger { name, bearer: Some(bearer.to_owned()), how };
    let strangers = vec![
        Stranger { name: "no session", bearer: None, how: How::Unknown },
        stranger("an ended session", &ada.ended_token, How::Unknown),
        stranger("an ended session's access token", &ada.ended_access_token, How::Unknown),
        stranger("a revoked API key", &ada.revoked_key, How::Unknown),
        stranger("a service account's revoked key", &revoked, How::Unknown),
        stranger("another tenant's owner", &eve.token, How::Elsewhere),
        stranger("no tenant", &dan.token(), How::Elsewhere),
        stranger("a removed member", &gus.token(), How::Elsewhere),
        stranger("an ended support grant", &op.token(), How::OnceLetIn),
        stranger("an expired support grant", &past.token(), How::OnceLetIn),
        stranger("a suspended member", &bea.token(), How::ShutOut),
        stranger("a suspended account", &cut.token(), How::Suspended),
        stranger("an API key with too few scopes", &narrow_api_key, How::TooNarrow),
        stranger("a service account's key with too few scopes", &narrow, How::ServiceTooNarrow),
        stranger("a suspended service account", &of_suspended, How::ServiceShutOut),
        stranger("another tenant's service account", &of_eves, How::ServiceElsewhere),
    ];
    (strangers, ids)
}

/// What one stranger asks of one route.
struct Question<'a> {
    world: &'a World,
    row: &'a Row,
    route: &'a Route,
    stranger: &'a Stranger,
    ids: &'a Ids,
    /// Whether it leads into Ada's tenant, rather than into her home.
    in_tenant: bool,
}

/// What came of it.
struct Cell {
    shown: String,
    leak: Option<String>,
}

impl Question<'_> {
    /// The refusal that this stranger has to get; `None` where what they ask is about themselves or for everybody.
    fn expected(&self) -> Option<u16> {
        let about = self.row.about;
        let for_services = self.in_tenant && FOR_API_KEYS.contains(&self.row.operation);
        let elsewhere = match about {
            About::Named => Some(404),
            About::Platform => Some(403),
            About::Whoever | About::Published | About::Everybody => None,
        };
        let is_unseen =
            NOT_SEEN.contains(&self.row.operation) || self.route.template.contains("{tenant_collection}");
        let is_about_oneself = ABOUT_ONESELF.contains(&self.row.operation);
        match self.stranger.how {
            _ if about == About::Everybody => None,
            // Whoever lives passes, for what they may; a service that is suspended does not.
            How::ServiceShutOut | How::Suspended if self.row.operation == PASSING => Some(403),
            how if self.row.operation == PASSING && how != How::Unknown => None,
            How::Unknown => Some(401),
            How::Suspended if is_about_oneself => None,
            How::Suspended if about == About::Whoever => None,
            How::Suspended => Some(403),
            How::OnceLetIn if FOR_OPERATORS.contains(&self.row.operation) => None,
            How::Elsewhere | How::OnceLetIn => elsewhere,
            How::ShutOut | How::ServiceShutOut if is_about_oneself => None,
            How::ShutOut if self.in_tenant && about == About::Named => Some(403),
            How::ShutOut => elsewhere,
            How::TooNarrow if FOR_THE_NARROW.contains(&self.row.operation) => None,
            How::TooNarrow if about == About::Published => None,
            How::TooNarrow if is_unseen => Some(404),
            How::TooNarrow => Some(403),
            // They may come to every history, and find but their own tenant's.
            How::ServiceTooNarrow | How::ServiceShutOut | How::ServiceElsewhere
                if !self.in_tenant && self.route.template.contains("{log}") =>
            {
                Some(404)
            }
            How::ServiceTooNarrow if is_unseen => Some(404),
            How::ServiceTooNarrow | How::ServiceShutOut if for_services => Some(403),
            How::ServiceElsewhere if for_services => Some(404),
            How::ServiceTooNarrow | How::ServiceShutOut | How::ServiceElsewhere => Some(401),
        }
    }

    /// The ids of what is not there, as far as this stranger may know what is: who is known to the tenant, or is Ada, knows
    /// the tenant and the home.
    fn nothing(&self) -> Ids {
        let nothing = Ids::of_nothing();
        match self.stranger.how {
            How::Unknown | How::Elsewhere | How::OnceLetIn | How::ServiceElsewhere => nothing,
            How::ShutOut | How::Suspended | How::ServiceTooNarrow | How::ServiceShutOut
                if !self.in_tenant =>
            {
                nothing
            }
            How::ShutOut | How::Suspended | How::TooNarrow | How::ServiceTooNarrow | How::ServiceShutOut => {
                let mut ids = nothing.within(self.ids);
                ids.0.extend(["log", "tile"].map(|known| (known, self.ids.0[known].clone())));
                ids
            }
        }
    }

    fn ask(&self, ids: &Ids) -> Exchange {
        let mut request = self.row.request(&self.route.method, &self.route.path(ids));
        if let Some(bearer) = &self.stranger.bearer {
            request = request.bearer(bearer);
        }
        request.send(&self.world.url())
    }

    /// What somebody asks of what is their own: an account that is suspended gets nothing of that either, but may be told first what
    /// is wrong with the request.
    fn about_themselves(&self) -> Cell {
        let is_suspended = self.stranger.how == How::Suspended && self.row.about == About::Whoever;
        if !is_suspended || ABOUT_ONESELF.contains(&self.row.operation) {
            return Cell { shown: "·".to_owned(), leak: None };
        }
        let answer = self.ask(self.ids);
        let leak = [403, 410, 422].contains(&answer.status);
        let leak =
            (!leak).then(|| format!("{} by {}: {}", self.row.operation, self.stranger.name, said(&answer)));
        Cell { shown: answer.status.to_string(), leak }
    }

    fn cell(&self) -> Cell {
        let Some(expected) = self.expected() else {
            return self.about_themselves();
        };
        let answer = self.ask(self.ids);
        let context = || format!("{} by {}", self.row.operation, self.stranger.name);
        let leak = if answer.status == expected {
            let nothing = self.ask(&self.nothing());
            (without_its_own(&answer) != without_its_own(&nothing))
                .then(|| format!("{}: {} but of nothing: {}", context(), said(&answer), said(&nothing)))
        } else {
            Some(format!("{}: {} instead of {expected}: {}", context(), answer.status, said(&answer)))
        };
        let mark = if leak.is_some() { " LEAK" } else { "" };
        Cell { shown: format!("{}{mark}", answer.status), leak }
    }
}

/// Routes down, strangers across.
struct Table {
    text: String,
    leaks: Vec<String>,
    asked: usize,
}

impl Table {
    fn new(strangers: &[Stranger]) -> Self {
        let names: Vec<_> = strangers.iter().map(|stranger| stranger.name).collect();
        let text = format!("| route | {} |\n|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
        Self { text, leaks: Vec::new(), asked: 0 }
    }

    fn add(&mut self, route: &str, cells: Vec<Cell>) {
        let shown: Vec<_> = cells.iter().map(|cell| cell.shown.as_str()).collect();
        self.asked += shown.iter().filter(|shown| **shown != "·").count();
        writeln!(self.text, "| {route} | {} |", shown.join(" | ")).expect("a string");
        self.leaks.extend(cells.into_iter().filter_map(|cell| cell.leak));
    }

    /// Writes the table to a file, and gives the leaks.
    fn written(mut self, world: &World) -> Vec<String> {
        let (engine, leaks) = (world.engine(), self.leaks.len());
        let summary = format!("\n{} cells on {engine}, each asked twice; {leaks} leaks.\n", self.asked);
        self.text.push_str(&summary);
        let file = format!("strangers-{}.md", engine.to_string().to_lowercase());
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
        std::fs::write(&file, &self.text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        println!("{}{}", self.text, file.display());
        self.leaks
    }
}

/// Somebody with a home and nothing else.
struct Newcomer {
    machine: Machine,
    person: Person,
}

impl Newcomer {
    fn new(world: &World) -> Self {
        let machine = world.machine();
        let person = machine.sign_up();
        Self { machine, person }
    }

    fn token(&self) -> String {
        session_token(&self.machine)
    }
}

/// `bailiwick tenant …`
#[track_caller]
fn run(machine: &Machine, arguments: &[&str]) -> Value {
    machine.run(["tenant"].iter().chain(arguments).chain(&["--json"])).json()
}

fn tenants_log(owner: &Machine, ids: &Ids) -> Vec<Value> {
    owner.run(["log", "--tenant", &ids.0["tenant"], "--json"]).entries()
}

/// What an operator gets who looks at the tenant.
fn looks(world: &World, operator: &Newcomer, tenant: &str) -> u16 {
    let path = format!("/api/v1/tenants/{tenant}");
    Request::new("GET", &path).bearer(&operator.token()).send(&world.url()).status
}

/// A moment that comes soon, in milliseconds since the Unix epoch.
fn in_a_moment() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    u64::try_from((now + Duration::from_secs(5)).as_millis()).expect("in this era")
}

/// Waits for what happens by itself, for a while.
#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..120 {
        if is_so() {
            return;
        }
        thread::sleep(Duration::from_millis(250));
    }
    panic!("it did not come to be within 30 s");
}

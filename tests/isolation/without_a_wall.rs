// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What each table's wall is worth: with it out of the way, the probe of that table says so.

use harness::{Database, Role};

use super::{row_of, tables, two_homes};

#[test]
fn without_any_one_of_the_walls_its_table_leaks() {
    let world = two_homes();
    let database = world.database();
    let homes = database
        .rows(Role::Superuser, "SELECT tenant FROM record GROUP BY tenant ORDER BY count(*) DESC LIMIT 2");
    let probe = Probe { database, ours: &homes[0], theirs: &homes[1] };
    for table in &tables(&world) {
        assert!(!probe.leaks(table), "{table} with its wall in place");
        for (spoil, mend) in [
            ("ALTER TABLE {} DISABLE ROW LEVEL SECURITY", "ALTER TABLE {} ENABLE ROW LEVEL SECURITY"),
            ("CREATE POLICY hole ON {} USING (true) WITH CHECK (true)", "DROP POLICY hole ON {}"),
        ] {
            database.rows(Role::Owner, &spoil.replace("{}", table));
            assert!(probe.leaks(table), "{} goes unnoticed", spoil.replace("{}", table));
            database.rows(Role::Owner, &mend.replace("{}", table));
        }
    }
}

/// The server's own role with one tenant set, looking for another one's rows and trying to make some.
struct Probe<'a> {
    database: &'a Database,
    ours: &'a str,
    theirs: &'a str,
}

impl Probe<'_> {
    /// Whether a table shows something, or lets something be made.
    fn leaks(&self, table: &str) -> bool {
        self.shows(table) || self.takes(table)
    }

    fn shows(&self, table: &str) -> bool {
        let counted = format!("SELECT count(*) FROM {table}");
        let foreign =
            format!("SET bailiwick.tenant = '{}'; {counted} WHERE tenant IS DISTINCT FROM '{0}'", self.ours);
        [counted, foreign].iter().any(|sql| match self.database.run(Role::App, sql) {
            Ok(count) => count.trim() != "0",
            Err(refusal) => !refusal.contains("permission denied"),
        })
    }

    /// Whether anything but the wall, or a missing privilege, is in the way of somebody else's row.
    fn takes(&self, table: &str) -> bool {
        let row = row_of(self.database, table, self.theirs);
        let made = format!("BEGIN; SET LOCAL bailiwick.tenant = '{}'; {row}; ROLLBACK", self.ours);
        match self.database.run(Role::App, &made) {
            Ok(_) => true,
            Err(refusal) => {
                !["row-level security", "permission denied"].iter().any(|wall| refusal.contains(wall))
            }
        }
    }
}

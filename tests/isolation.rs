// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The walls inside PostgreSQL, tried by its own role.

mod without_a_wall;

use harness::{Database, Engine, Role, World};

#[test]
fn with_no_tenant_set_every_table_shows_nothing() {
    let world = two_homes();
    let database = world.database();
    for table in tables(&world) {
        let all = &database.rows(Role::Superuser, &format!("SELECT count(*) FROM {table}"))[0];
        let shown = database.rows(Role::App, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(shown, ["0"], "{table}, which has {all} rows");
    }
    let filled = tables(&world)
        .into_iter()
        .filter(|table| {
            database.rows(Role::Superuser, &format!("SELECT EXISTS (SELECT FROM {table})")) == ["t"]
        })
        .count();
    assert!(filled >= 5, "two accounts with files fill some tables: {filled}");
}

#[test]
fn with_one_tenant_set_another_ones_rows_are_neither_seen_nor_made() {
    let world = two_homes();
    let database = world.database();
    let homes = database
        .rows(Role::Superuser, "SELECT tenant FROM record GROUP BY tenant ORDER BY count(*) DESC LIMIT 2");
    let (ours, theirs) = (&homes[0], &homes[1]);
    for table in tables(&world) {
        let in_ours = |sql: &str| database.run(Role::App, &format!("SET bailiwick.tenant = '{ours}'; {sql}"));

        let seen =
            in_ours(&format!("SELECT count(*) FROM {table} WHERE tenant IS DISTINCT FROM '{ours}'")).unwrap();
        assert_eq!(seen.trim(), "0", "{table}");

        let row = row_of(database, &table, theirs);
        let refusal = in_ours(&row).expect_err(&row);
        assert!(
            refusal.contains("row-level security") || refusal.contains("permission denied"),
            "{row}: refused, but for another reason: {refusal}"
        );

        let moved = in_ours(&format!("UPDATE {table} SET tenant = '{theirs}'"));
        let stolen =
            in_ours(&format!("DELETE FROM {table} WHERE tenant = '{theirs}'; SELECT count(*) FROM {table}"));
        if let Err(refusal) = &moved {
            let walls = ["row-level security", "permission denied", "append-only"];
            assert!(walls.iter().any(|wall| refusal.contains(wall)), "{table}: {refusal}");
        } else {
            let own = database
                .rows(Role::Superuser, &format!("SELECT count(*) FROM {table} WHERE tenant = '{ours}'"));
            assert_eq!(own, ["0"], "{table}: rows may have been moved to another tenant");
        }
        if let Err(refusal) = &stolen {
            assert!(
                refusal.contains("permission denied") || refusal.contains("append-only"),
                "{table}: {refusal}"
            );
        }
    }
    let machine = world.machine();
    machine.sign_up();
    machine.verified_records();
}

#[test]
fn the_tenant_comes_first_in_every_key() {
    let world = two_homes();
    let database = world.database();
    let without_tenant = database.rows(
        Role::Superuser,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant')",
    );
    assert!(without_tenant.is_empty(), "tables without a tenant: {without_tenant:?}");
    let elsewhere = database.rows(
        Role::Superuser,
        "SELECT indexrelid::regclass FROM pg_index
           JOIN pg_class ON pg_class.oid = indrelid AND relnamespace = 'public'::regnamespace
           LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]
          WHERE attname IS DISTINCT FROM 'tenant'",
    );
    assert!(elsewhere.is_empty(), "keys and indexes that begin with something else: {elsewhere:?}");
    let unforced = database.rows(
        Role::Superuser,
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            AND NOT (relrowsecurity AND relforcerowsecurity)",
    );
    assert!(unforced.is_empty(), "tables without forced row-level security: {unforced:?}");
}

#[test]
fn a_role_that_could_pass_the_walls_is_refused_at_the_start() {
    let mut world = two_homes();
    world.stop();
    let (app, owner) =
        (world.database().role(Role::App).to_owned(), world.database().role(Role::Owner).to_owned());

    for (role, why) in [(Role::Superuser, "superuser"), (Role::Owner, "own")] {
        world.log_in_by(Some(world.database().url(role)));
        refused(&mut world, why);
    }
    world.log_in_by(None);
    for (given, taken, why) in [
        (
            format!("ALTER ROLE {app} BYPASSRLS"),
            format!("ALTER ROLE {app} NOBYPASSRLS"),
            "row-level security",
        ),
        (format!("ALTER ROLE {app} SUPERUSER"), format!("ALTER ROLE {app} NOSUPERUSER"), "superuser"),
        (format!("GRANT {owner} TO {app}"), format!("REVOKE {owner} FROM {app}"), "own"),
        (format!("GRANT UPDATE ON record TO {app}"), format!("REVOKE UPDATE ON record FROM {app}"), "record"),
        (format!("GRANT TRUNCATE ON leaf TO {app}"), format!("REVOKE TRUNCATE ON leaf FROM {app}"), "leaf"),
    ] {
        world.database().rows(Role::Superuser, &given);
        refused(&mut world, why);
        world.database().rows(Role::Superuser, &taken);
    }
    world.start();
}

#[track_caller]
fn refused(world: &mut World, why: &str) {
    let refusal = world.try_start().expect_err("a role that could pass the walls");
    assert_ne!(refusal.status, Some(0), "{refusal:?}");
    assert!(refusal.said.contains(why), "should say {why:?}: {}", refusal.said);
}

/// A statement that makes a row of this tenant, of whatever the types allow: only the wall may be in its way.
fn row_of(database: &Database, table: &str, tenant: &str) -> String {
    let columns = database.rows(
        Role::Superuser,
        &format!(
            "SELECT quote_ident(attname) || '|' || CASE format_type(atttypid, NULL)
                 WHEN 'uuid' THEN 'gen_random_uuid()' WHEN 'bytea' THEN $$'\\x00'::bytea$$ WHEN 'boolean' THEN 'false'
                 WHEN 'text' THEN $$'x'$$ ELSE '0' END
               FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped
                AND attgenerated = '' AND attidentity = '' AND attname <> 'tenant'"
        ),
    );
    let (names, values): (Vec<_>, Vec<_>) = columns.iter().map(|row| row.split_once('|').unwrap()).unzip();
    let (names, values) = (names.join(", "), values.join(", "));
    format!("INSERT INTO {table} (tenant, {names}) VALUES ('{tenant}', {values})")
}

/// A world on PostgreSQL with two accounts that each keep a small and a large file.
fn two_homes() -> World {
    let world = World::started(Engine::Postgresql);
    for _ in 0..2 {
        let machine = world.machine();
        machine.sign_up();
        let file = machine.scratch("file");
        for (name, size) in [("small", 100), ("large", 700_000)] {
            std::fs::write(&file, harness::noise(size, size as usize)).unwrap();
            machine.put(&file, name).done();
        }
        machine.verified_records();
    }
    world
}

fn tables(world: &World) -> Vec<String> {
    let sql = "SELECT quote_ident(relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') ORDER BY relname";
    let tables = world.database().rows(Role::Superuser, sql);
    assert!(tables.len() >= 8, "{tables:?}");
    tables
}

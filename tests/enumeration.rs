// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether somebody has an account is nobody's business. (Time is measured by `make bench`.)

use std::collections::BTreeMap;

use harness::{Exchange, Person, Recorder, World, on_both_engines, unique};
use serde_json::Value;

on_both_engines!(an_unknown_account_and_a_wrong_password_look_alike);

fn an_unknown_account_and_a_wrong_password_look_alike(world: World) {
    let ada = world.machine().sign_up();
    let nobody = Person::nobody(&format!("{}@example.org", unique("nobody-")));
    let known = failed_sign_in(&world, &ada);
    let unknown = failed_sign_in(&world, &nobody);

    assert_eq!(known.len(), unknown.len(), "as many steps");
    for (known, unknown) in known.iter().zip(&unknown) {
        assert_eq!((&known.method, &known.path), (&unknown.method, &unknown.path));
        assert_eq!(known.status, unknown.status, "{}", known.path);
        assert_eq!(header_names(known), header_names(unknown), "{}", known.path);
        assert_eq!(shape(&known.json()), shape(&unknown.json()), "{}", known.path);
        assert_eq!(known.response.len(), unknown.response.len(), "{}", known.path);
    }
    // Asked again, an unknown account gives the same salt and the same parameters, as a known one does.
    let again = failed_sign_in(&world, &nobody);
    for name in ["email_salt", "kdf"] {
        assert_eq!(unknown[0].json()[name], again[0].json()[name], "{name}");
    }
}

/// What goes over the wire when somebody signs in with a wrong password.
fn failed_sign_in(world: &World, person: &Person) -> Vec<Exchange> {
    let wire = Recorder::before(&world.url());
    let machine = world.machine().through(wire.url());
    let problem = machine.sign_in_with(person, "a wrong password", &person.factor()).refused(4);
    assert_eq!(problem.code, "invalid_credentials");
    let exchanges = wire.exchanges();
    assert!(!exchanges.is_empty());
    exchanges
}

fn header_names(exchange: &Exchange) -> Vec<&str> {
    exchange.response_headers.iter().map(|(name, _)| name.as_str()).collect()
}

/// A document's fields, and the kind and length of each.
fn shape(value: &Value) -> BTreeMap<String, String> {
    fn visit(path: String, value: &Value, shape: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    visit(format!("{path}.{name}"), value, shape);
                }
            }
            Value::Array(values) => {
                for value in values {
                    visit(format!("{path}[]"), value, shape);
                }
            }
            Value::String(text) => drop(shape.insert(path, format!("{} characters", text.len()))),
            other => drop(shape.insert(path, other.to_string())),
        }
    }
    let mut shape_of_all = BTreeMap::new();
    visit(String::new(), value, &mut shape_of_all);
    shape_of_all
}

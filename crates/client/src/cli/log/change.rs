// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What a change did, where one action has several that it may be: as far as what was so before and after tells it.

use serde_json::Value;

/// The word for it, if there is more to say than the action's name does.
pub(super) fn done(action: &str, opened: &Value) -> Option<&'static str> {
    let part = |name: &str| opened.get(name).filter(|part| !part.is_null());
    let (before, after) = (part("before"), part("after"));
    let now = |name: &str| after.and_then(|after| after.get(name)) == Some(&Value::Bool(true));
    if let Some((_, word)) = ENDS.iter().find(|(name, _)| now(name)) {
        return Some(*word);
    }
    match after.and_then(|after| after.get("suspended")) {
        Some(Value::Bool(true)) => return Some("suspended"),
        Some(Value::Bool(false)) => return Some("resumed"),
        _ => {}
    }
    let is_alone = after.and_then(Value::as_object).is_some_and(|fields| fields.len() == 1);
    match (text(before, "state"), text(after, "state")) {
        (_, Some("suspended")) => return Some("suspended"),
        (Some("suspended"), Some(_)) => return Some("resumed"),
        (None, Some("live")) if is_alone => return Some("resumed"),
        (_, Some("closing")) => return Some("begun"),
        (Some("closing"), Some("live")) => return Some("taken back"),
        _ => {}
    }
    let has = |part: Option<&Value>, name: &str| part.is_some_and(|part| part.get(name).is_some());
    let writes = action.ends_with(".write");
    match (before.is_some(), after.is_some()) {
        (false, true) if GIVEN.contains(&action) => Some("given"),
        (true, false) if GIVEN.contains(&action) => Some("taken"),
        (false, true) if action == "team.write" && has(after, "member") => Some("put in"),
        (true, false) if action == "team.write" && has(before, "member") => Some("taken out"),
        (false, true) if writes && has(after, "name") => Some("made"),
        (true, false) if writes => Some("removed"),
        (true, true) if writes => Some("changed"),
        _ => None,
    }
}

fn text<'a>(part: Option<&'a Value>, name: &str) -> Option<&'a str> {
    part?.get(name)?.as_str()
}

/// What is said to be so of what is over.
const ENDS: [(&str, &str); 3] = [("ended", "ended"), ("revoked", "revoked"), ("deleted", "deleted")];
/// Actions by which something is given, and by which it is taken.
const GIVEN: [&str; 2] = ["role.grant", "support.grant"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn giving_and_taking_are_told_apart() {
        let role = json!({ "role": "operator", "place": "org_1" });
        assert_eq!(done("role.grant", &json!({ "after": role })), Some("given"));
        assert_eq!(done("role.grant", &json!({ "before": role })), Some("taken"));
        let state =
            |before: &str, after: &str| json!({ "before": { "state": before }, "after": { "state": after } });
        assert_eq!(done("member.suspend", &state("live", "suspended")), Some("suspended"));
        assert_eq!(done("member.suspend", &state("suspended", "live")), Some("resumed"));
        assert_eq!(done("member.suspend", &state("live", "live")), None);
        assert_eq!(done("tenant.delete", &state("live", "closing")), Some("begun"));
        assert_eq!(done("tenant.delete", &state("closing", "live")), Some("taken back"));
        let account = |is: bool| json!({ "before": { "suspended": !is }, "after": { "suspended": is } });
        assert_eq!(done("account.suspend", &account(true)), Some("suspended"));
        assert_eq!(done("account.suspend", &account(false)), Some("resumed"));
        let service = json!({ "after": { "state": "live" } });
        assert_eq!(done("service_account.write", &service), Some("resumed"));
        assert_eq!(done("support.grant", &json!({ "after": { "ended": true } })), Some("ended"));
        assert_eq!(done("team.write", &json!({ "after": { "name": "Night" } })), Some("made"));
        assert_eq!(done("team.write", &json!({ "before": { "member": "acc_1" } })), Some("taken out"));
        assert_eq!(done("client.write", &json!({ "after": { "secret": "another" } })), None);
        assert_eq!(done("item.write", &json!({ "after": { "version": 2 } })), None);
        assert_eq!(done("member.remove", &json!({ "before": { "label": "Bea" } })), None);
        assert_eq!(done("role.grant", &json!("nonsense")), None);
    }
}

//! What is asked of a server and answered in the status: evictions, and how many devices there are.

use serde_json::Value;

use super::columns::{AGE, Around, Column, column, wide};
use super::values::{
    Json, NONE, UNKNOWN, UNSET, at, condition, human, is_true, list, list_in, number, since, text, text_in,
};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("lifecycle.k8s.io", "EvictionRequest") => EVICTION_REQUESTS,
        ("lifecycle.k8s.io", "Eviction") => EVICTIONS,
        ("resource.k8s.io", "ResourcePoolStatusRequest") => POOL_REQUESTS,
        _ => return None,
    })
}

const TARGET: Column = column("TARGET", |json, _| match at(json, "spec.target.pod") {
    Some(pod) => text_in(pod, "name").to_owned(),
    None => UNSET.to_owned(),
});
const TARGET_TYPE: Column = column("TARGET TYPE", |json, _| match at(json, "spec.target.pod") {
    Some(_) => "Pod".to_owned(),
    None => UNSET.to_owned(),
});
const STATUS: Column = column("STATUS", |json, _| {
    let done = |kind| condition(json, kind).filter(|_| is_true(json, kind));
    match done("TargetEvicted").or_else(|| done("Failed")) {
        Some(done) => format!("{} ({})", text_in(done, "type"), text_in(done, "reason")),
        None if number(json, "status.observedGeneration") > 0 => "Progressing".to_owned(),
        None => "Pending".to_owned(),
    }
});

const EVICTION_REQUESTS: &[Column] = &[
    TARGET,
    TARGET_TYPE,
    STATUS,
    column("REQUESTER", |json, _| text(json, "spec.requester").to_owned()),
    column("INTENT", |json, _| text(json, "spec.intent").to_owned()),
    AGE,
];

const EVICTIONS: &[Column] = &[
    TARGET,
    TARGET_TYPE,
    STATUS,
    column("ACTIVE RESPONDER", |json, _| {
        let all = list(json, "status.targetResponders");
        let begun = all.iter().filter(|responder| is_active(responder) || is_over(responder)).count();
        let name = active(json).map_or(UNSET, |responder| text_in(responder, "name"));
        format!("{name} ({begun}/{})", all.len())
    }),
    column("RESPONDER STATUS", |json, around| match answered(json) {
        Some((state @ "Active", status)) => ago("Started", state, status, "startTime", around),
        Some((state @ "Completed", status)) => ago(state, state, status, "completionTime", around),
        Some((state, _)) => state.to_owned(),
        None => UNSET.to_owned(),
    }),
    column("RESPONDER EXPECTED FINISH", |json, around| match answered(json) {
        Some(("Active", status)) if time_in(status, "startTime").is_some() => {
            match time_in(status, "expectedCompletionTime") {
                Some(due) if due > around.now => {
                    format!("in {}", human(due.duration_since(around.now).as_secs()))
                }
                Some(due) => format!("{} ago", since(Some(due), around.now)),
                None => UNKNOWN.to_owned(),
            }
        }
        Some(("Active", _)) | None => UNKNOWN.to_owned(),
        Some(_) => "-".to_owned(),
    }),
    column("REQUESTERS", |json, _| {
        let all = list(json, "status.requesters");
        let staying = all.iter().filter(|requester| text_in(requester, "intent") != "Withdrawn");
        let mut names: Vec<_> = staying.map(|requester| text_in(requester, "name")).collect();
        names.sort_unstable();
        match *names {
            [] if all.is_empty() => NONE.to_owned(),
            [] => "<withdrawn>".to_owned(),
            [""] => UNSET.to_owned(),
            [one] => one.to_owned(),
            [first, ref more @ ..] => format!("{first} + {} more...", more.len()),
        }
    }),
    AGE,
    wide("RESPONDER HEARTBEAT", |json, around| {
        match answered(json).and_then(|(_, status)| time_in(status, "heartbeatTime")) {
            Some(beat) => format!("{} ago", since(Some(beat), around.now)),
            None => UNSET.to_owned(),
        }
    }),
    wide("RESPONDER STATUS MESSAGE", |json, _| {
        match answered(json).map_or("", |(_, status)| text_in(status, "message").trim()) {
            "" => UNSET.to_owned(),
            message => message.to_owned(),
        }
    }),
];

fn is_active(responder: &Value) -> bool {
    text_in(responder, "state") == "Active"
}

fn is_over(responder: &Value) -> bool {
    matches!(text_in(responder, "state"), "Canceled" | "Interrupted" | "Completed")
}

/// The last responder that is at it, or that was if none is.
fn active(json: &Json) -> Option<&Value> {
    let last = |is: fn(&Value) -> bool| {
        list(json, "status.targetResponders").iter().rev().find(|responder| is(responder))
    };
    last(is_active).or_else(|| last(is_over))
}

/// Its state, and what it says of itself.
fn answered(json: &Json) -> Option<(&str, &Value)> {
    let active = active(json)?;
    let name = text_in(active, "name");
    let status = list(json, "status.responders").iter().find(|status| text_in(status, "name") == name)?;
    Some((text_in(active, "state"), status))
}

fn time_in(value: &Value, name: &str) -> Option<jiff::Timestamp> {
    text_in(value, name).parse().ok()
}

/// `Started (3m ago)`, or `none` if it is not known when.
fn ago(what: &str, none: &str, status: &Value, name: &str, around: Around) -> String {
    match time_in(status, name) {
        Some(then) => format!("{what} ({} ago)", since(Some(then), around.now)),
        None => none.to_owned(),
    }
}

const POOL_REQUESTS: &[Column] = &[
    column("DRIVER", |json, _| text(json, "spec.driver").to_owned()),
    column("TOTAL", |json, _| devices(json, "totalDevices")),
    column("AVAILABLE", |json, _| devices(json, "availableDevices")),
    column("ALLOCATED", |json, _| devices(json, "allocatedDevices")),
    column("UNAVAILABLE", |json, _| devices(json, "unavailableDevices")),
    column("ERRORS", |json, _| {
        let wrong = |pool: &Value| i64::from(pool.get("validationError").is_some());
        of_pools(json, |pools| pools.iter().map(wrong).sum())
    }),
    column("POOLS", |json, _| number(json, "status.poolCount").to_string()),
    column("STATUS", |json, _| {
        let (shown, all) = (list(json, "status.pools").len(), number(json, "status.poolCount"));
        match decided(json) {
            Some("Complete") if i64::try_from(shown).is_ok_and(|shown| all > shown) => {
                format!("Complete ({shown}/{all} pools)")
            }
            decided => decided.unwrap_or("Pending").to_owned(),
        }
    }),
    column("COMPLETED", |json, around| match decided(json) {
        Some("Complete") => {
            let complete = condition(json, "Complete");
            since(complete.and_then(|found| time_in(found, "lastTransitionTime")), around.now)
        }
        _ => NONE.to_owned(),
    }),
];

/// The first of its conditions that decides.
fn decided(json: &Json) -> Option<&str> {
    let mut conditions = list(json, "status.conditions").iter();
    let decides = |found: &&Value| {
        matches!(text_in(found, "type"), "Complete" | "Failed") && text_in(found, "status") == "True"
    };
    conditions.find(decides).map(|found| text_in(found, "type"))
}

/// A number that is known of all pools together, once there is an answer that did not fail.
fn of_pools(json: &Json, sum: impl Fn(&[Value]) -> i64) -> String {
    match at(json, "status") {
        Some(status) if decided(json) != Some("Failed") => sum(list_in(status, "pools")).to_string(),
        _ => "-".to_owned(),
    }
}

fn devices(json: &Json, name: &str) -> String {
    let of_pool = |pool: &Value| pool.get(name).and_then(Value::as_i64).unwrap_or_default();
    of_pools(json, |pools| pools.iter().map(of_pool).fold(0, i64::saturating_add))
}

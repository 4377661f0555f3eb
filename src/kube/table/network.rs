//! Services and what leads to them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::type_meta::qualified;
use super::columns::{AGE, Around, Column, column, wide};
use super::values::{
    Json, NONE, UNSET, at, at_most_three, labels, list, list_in, or, selector, text, text_in,
};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Service") => SERVICES,
        ("", "Endpoints") => ENDPOINTS,
        ("discovery.k8s.io", "EndpointSlice") => ENDPOINT_SLICES,
        ("networking.k8s.io" | "extensions", "Ingress") => INGRESSES,
        ("networking.k8s.io", "IngressClass") => INGRESS_CLASSES,
        ("networking.k8s.io" | "extensions", "NetworkPolicy") => NETWORK_POLICIES,
        ("networking.k8s.io", "ServiceCIDR") => SERVICE_CIDRS,
        ("networking.k8s.io", "IPAddress") => IP_ADDRESSES,
        _ => return None,
    })
}

const SERVICES: &[Column] = &[
    column("TYPE", |json, _| text(json, "spec.type").to_owned()),
    column("CLUSTER-IP", |json, _| {
        let first = list(json, "spec.clusterIPs").first().and_then(Value::as_str);
        or(first.unwrap_or_else(|| text(json, "spec.clusterIP")), NONE)
    }),
    column("EXTERNAL-IP", external_ip),
    column("PORT(S)", |json, _| {
        let ports: Vec<_> = list(json, "spec.ports").iter().map(port).collect();
        or(&ports.join(","), NONE)
    }),
    AGE,
    wide("SELECTOR", |json, _| labels(at(json, "spec.selector"))),
];

const ENDPOINTS: &[Column] = &[column("ENDPOINTS", |json, _| endpoints(json)), AGE];

const ENDPOINT_SLICES: &[Column] = &[
    column("ADDRESSTYPE", |json, _| text(json, "addressType").to_owned()),
    column("PORTS", |json, _| {
        let port = |port: &Value| match port.get("port").and_then(Value::as_i64) {
            Some(number) => number.to_string(),
            None => or(text_in(port, "name"), "*"),
        };
        at_most_three(list(json, "ports").iter().map(port), UNSET)
    }),
    column("ENDPOINTS", |json, _| {
        let endpoints = list(json, "endpoints").iter();
        let addresses = endpoints.flat_map(|endpoint| list_in(endpoint, "addresses"));
        at_most_three(addresses.filter_map(Value::as_str).map(str::to_owned), UNSET)
    }),
    AGE,
];

const INGRESSES: &[Column] = &[
    column("CLASS", |json, _| or(text(json, "spec.ingressClassName"), NONE)),
    column("HOSTS", |json, _| {
        let hosts = list(json, "spec.rules").iter().map(|rule| text_in(rule, "host"));
        at_most_three(hosts.filter(|host| !host.is_empty()).map(str::to_owned), "*")
    }),
    column("ADDRESS", |json, _| balancer(json)),
    column("PORTS", |json, _| if list(json, "spec.tls").is_empty() { "80" } else { "80, 443" }.to_owned()),
    AGE,
];

const INGRESS_CLASSES: &[Column] = &[
    column("CONTROLLER", |json, _| text(json, "spec.controller").to_owned()),
    column("PARAMETERS", |json, _| {
        let Some(parameters) = at(json, "spec.parameters") else { return NONE.to_owned() };
        let group = text_in(parameters, "apiGroup");
        let point = if group.is_empty() { "" } else { "." };
        format!("{}{point}{group}/{}", text_in(parameters, "kind"), text_in(parameters, "name"))
    }),
    AGE,
];

const NETWORK_POLICIES: &[Column] =
    &[column("POD-SELECTOR", |json, _| selector(at(json, "spec.podSelector"))), AGE];

const SERVICE_CIDRS: &[Column] = &[
    column("CIDRS", |json, _| {
        let cidrs: Vec<_> = list(json, "spec.cidrs").iter().filter_map(Value::as_str).collect();
        cidrs.join(",")
    }),
    AGE,
];

/// kubectl has the age, and no column for it.
const IP_ADDRESSES: &[Column] = &[column("PARENTREF", |json, _| {
    let Some(parent) = at(json, "spec.parentRef") else { return NONE.to_owned() };
    let kind = qualified(text_in(parent, "resource"), text_in(parent, "group")).to_lowercase();
    let places = [&kind, text_in(parent, "namespace"), text_in(parent, "name")];
    // Its name stands there even if it is empty.
    let place = |(at, place): (usize, &&str)| at != 1 || !place.is_empty();
    let places = places.iter().enumerate().filter(|found| place(*found)).map(|(_, place)| *place);
    places.collect::<Vec<_>>().join("/")
})];

fn port(port: &Value) -> String {
    let number = |name| port.get(name).and_then(Value::as_i64).unwrap_or_default();
    match number("nodePort") {
        0 => format!("{}/{}", number("port"), text_in(port, "protocol")),
        node => format!("{}:{node}/{}", number("port"), text_in(port, "protocol")),
    }
}

fn external_ip(json: &Json, _: Around) -> String {
    let given: Vec<&str> = list(json, "spec.externalIPs").iter().filter_map(Value::as_str).collect();
    match text(json, "spec.type") {
        "LoadBalancer" => {
            let balancer = balancer(json);
            let all: Vec<&str> = balancer.split(',').filter(|ip| !ip.is_empty()).chain(given).collect();
            or(&all.join(","), "<pending>")
        }
        "ExternalName" => text(json, "spec.externalName").to_owned(),
        _ => or(&given.join(","), NONE),
    }
}

/// The addresses of a load balancer.
fn balancer(json: &Json) -> String {
    let ingress = list(json, "status.loadBalancer.ingress").iter();
    let addresses: BTreeSet<&str> = ingress
        .map(|ingress| [text_in(ingress, "ip"), text_in(ingress, "hostname")])
        .filter_map(|names| names.into_iter().find(|name| !name.is_empty()))
        .collect();
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

fn endpoints(json: &Json) -> String {
    let all = list(json, "subsets").iter().flat_map(|subset| {
        let addresses = list_in(subset, "addresses").iter().map(|address| text_in(address, "ip"));
        let ports: Vec<Option<i64>> = match list_in(subset, "ports") {
            [] => vec![None],
            ports => ports.iter().map(|port| port.get("port").and_then(Value::as_i64)).collect(),
        };
        let joined = |ip: &str, port: Option<i64>| match port {
            None => ip.to_owned(),
            Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
            Some(port) => format!("{ip}:{port}"),
        };
        ports
            .into_iter()
            .flat_map(|port| addresses.clone().map(move |ip| joined(ip, port)).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    });
    at_most_three(all, NONE)
}

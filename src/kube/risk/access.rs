//! What sees and changes requests, and who gets in.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::object::{field, inside, is_true, items, strings, text};
use super::rule::{Risk, RiskRule};
use crate::kube::certificate::request_subject;
use crate::kube::decode::Object;

/// What a namespace enforces.
pub(super) const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What is said of an object that is neither about roles nor about pods.
pub(super) fn of(object: &Object, found: &mut Vec<Risk>) {
    let spec = field(object, "spec");
    let mut add = |rule, detail: String| found.push(Risk { rule, detail: detail.into() });
    match &*object.kind {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            for webhook in items(field(object, "webhooks")) {
                let url = text(inside(webhook, "clientConfig"), "url");
                if !url.is_empty() {
                    add(RiskRule::WebhookOutside, format!("{}: {}", text(webhook, "name"), host(url)));
                }
            }
        }
        "CustomResourceDefinition" if text(inside(spec, "conversion"), "strategy") == "Webhook" => {
            let client = inside(inside(inside(spec, "conversion"), "webhook"), "clientConfig");
            match text(client, "url") {
                "" => add(RiskRule::CrdConversion, service(client)),
                url => add(RiskRule::WebhookOutside, format!("conversion: {}", host(url))),
            }
        }
        "APIService" if is_true(spec, "insecureSkipTLSVerify") => {
            add(RiskRule::ApiServiceInsecure, service(spec));
        }
        "Namespace" if text(inside(field(object, "metadata"), "labels"), ENFORCE) == "privileged" => {
            add(RiskRule::NamespacePrivileged, format!("{ENFORCE}=privileged"));
        }
        "PersistentVolume" => {
            for kind in ["hostPath", "local"] {
                let path = text(inside(spec, kind), "path");
                if !path.is_empty() {
                    add(RiskRule::VolumeHostPath, path.to_owned());
                }
            }
        }
        "Secret" => secret(object, &mut add),
        "CertificateSigningRequest" => certificate(object, &mut add),
        "Service" => {
            if text(spec, "type") == "ExternalName" {
                add(RiskRule::ServiceOutside, text(spec, "externalName").to_owned());
            }
            for address in strings(spec, "externalIPs") {
                add(RiskRule::ServiceExternalIp, address.to_owned());
            }
        }
        _ => {}
    }
}

/// The host of an address: what else is in it may be a password.
pub(super) fn host(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The service that a webhook or an API is answered by.
pub(super) fn service(client: &Value) -> String {
    let service = inside(client, "service");
    format!("service {}/{}", text(service, "namespace"), text(service, "name"))
}

fn secret(object: &Object, add: &mut impl FnMut(RiskRule, String)) {
    match field(object, "type").as_str().unwrap_or_default() {
        // Who makes one leaves it empty: the token is put into it.
        "kubernetes.io/service-account-token" if inside(field(object, "data"), "token").is_string() => {
            let annotations = inside(field(object, "metadata"), "annotations");
            let account = text(annotations, "kubernetes.io/service-account.name");
            add(RiskRule::TokenSecret, format!("of service account {account}"));
        }
        "bootstrap.kubernetes.io/token" => {
            let ends = inside(field(object, "data"), "expiration").as_str();
            let ends = ends.and_then(|ends| String::from_utf8(BASE64_STANDARD.decode(ends).ok()?).ok());
            let ends = ends.and_then(|ends| ends.parse::<Timestamp>().ok());
            let ends = ends.map_or_else(|| "it never ends".to_owned(), |ends| format!("it ends {ends}"));
            add(RiskRule::BootstrapToken, ends);
        }
        _ => {}
    }
}

/// A certificate of a user. Those that kubelets ask for are for nodes, and many.
fn certificate(object: &Object, add: &mut impl FnMut(RiskRule, String)) {
    let spec = field(object, "spec");
    let approved = items(inside(field(object, "status"), "conditions")).iter();
    if !approved.clone().any(|condition| text(condition, "type") == "Approved") {
        return;
    }
    let (signer, user) = (text(spec, "signerName"), text(spec, "username"));
    let of_node = user.starts_with("system:node:") || user.starts_with("system:bootstrap:");
    if of_node
        && matches!(signer, "kubernetes.io/kube-apiserver-client-kubelet" | "kubernetes.io/kubelet-serving")
    {
        return;
    }
    let request = BASE64_STANDARD.decode(text(spec, "request")).ok();
    let subject = request.and_then(|request| request_subject(&String::from_utf8(request).ok()?));
    let subject = subject.map_or_else(|| "somebody".to_owned(), |subject| subject.raw().to_owned());
    add(RiskRule::CertificateApproved, format!("{subject}, by {signer}, asked for by {user}"));
}

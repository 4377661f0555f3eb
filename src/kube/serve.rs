//! What an API server makes of a stored object before it answers: what kubectl shows is not all stored.
//!
//! | Object | What is changed |
//! |---|---|
//! | every | `metadata.resourceVersion`, which is the revision of its last change |
//! | CustomResourceDefinition | stored as `v1beta1`, served as `v1` |
//! | StatefulSet | its claim templates get `apiVersion` and `kind` |
//! | PersistentVolumeClaim, and those of claim templates | a claim without a phase is `Pending` |
//! | custom resource | objects embedded in it lose a `creationTimestamp` that is null |
//!
//! No other conversion between versions is made. Source: `k8s.io/apiextensions-apiserver/pkg/apis/apiextensions`,
//! `k8s.io/kubernetes/pkg/apis/{apps,core}/*/defaults.go`, measured on API servers of 1.24 and 1.37.

use serde_json::{Map, Value, json};

use super::decode::Object;

/// Makes of a stored object what a client is answered. `schema` is that of a custom resource, if it is known.
pub fn serve(object: &mut Object, mod_revision: i64, schema: Option<&Value>) {
    if let Some(Value::Object(metadata)) = object.json.get_mut("metadata") {
        metadata.insert("resourceVersion".to_owned(), mod_revision.to_string().into());
    }
    match (object.group(), &*object.kind) {
        ("apiextensions.k8s.io", "CustomResourceDefinition") if object.version() == "v1beta1" => {
            definition(&mut object.json);
            "apiextensions.k8s.io/v1".clone_into(&mut object.api_version);
        }
        ("apps", "StatefulSet") => claim_templates(&mut object.json),
        ("", "PersistentVolumeClaim") => pending(&mut object.json),
        _ => {}
    }
    if let Some(schema) = schema {
        let mut json = Value::Object(std::mem::take(&mut object.json));
        embedded(&mut json, schema, true);
        if let Value::Object(json) = json {
            object.json = json;
        }
    }
}

/// Removes the managed fields, as kubectl does.
pub fn hide_managed_fields(object: &mut Map<String, Value>) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.shift_remove("managedFields");
    }
}

fn pending(claim: &mut Map<String, Value>) {
    if let Some(status) = claim.entry("status").or_insert_with(|| json!({})).as_object_mut() {
        let phase = status.entry("phase").or_insert_with(|| "".into());
        if phase == "" {
            *phase = "Pending".into();
        }
    }
}

fn claim_templates(set: &mut Map<String, Value>) {
    let templates = set.get_mut("spec").and_then(|spec| spec.get_mut("volumeClaimTemplates"));
    for template in
        templates.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
    {
        template.insert("apiVersion".to_owned(), "v1".into());
        template.insert("kind".to_owned(), "PersistentVolumeClaim".into());
        pending(template);
    }
}

/// A definition of version `v1beta1` as one of `v1`: what is said for all versions is said for each
/// (`Convert_apiextensions_CustomResourceDefinitionSpec_To_v1_CustomResourceDefinitionSpec`).
fn definition(definition: &mut Map<String, Value>) {
    definition.insert("apiVersion".to_owned(), "apiextensions.k8s.io/v1".into());
    let Some(Value::Object(spec)) = definition.get_mut("spec") else { return };
    let version = spec.shift_remove("version");
    if spec.get("versions").and_then(Value::as_array).is_none_or(Vec::is_empty)
        && let Some(version) = version
    {
        spec.insert("versions".to_owned(), json!([{"name": version, "served": true, "storage": true}]));
    }
    // In v1beta1 true is what is not said.
    match spec.get("preserveUnknownFields") {
        Some(Value::Bool(false)) => drop(spec.shift_remove("preserveUnknownFields")),
        Some(_) => {}
        None => drop(spec.insert("preserveUnknownFields".to_owned(), true.into())),
    }
    let of_all = [
        ("subresources", "subresources"),
        ("validation", "schema"),
        ("additionalPrinterColumns", "additionalPrinterColumns"),
        ("selectableFields", "selectableFields"),
    ]
    .map(|(name, of_version)| (of_version, spec.shift_remove(name)));
    if let Some(Value::Object(conversion)) = spec.get_mut("conversion") {
        let client = conversion.shift_remove("webhookClientConfig");
        let versions = conversion.shift_remove("conversionReviewVersions");
        if client.is_some() || versions.is_some() {
            let mut webhook = Map::new();
            webhook.extend(client.map(|client| ("clientConfig".to_owned(), client)));
            webhook.insert("conversionReviewVersions".to_owned(), versions.unwrap_or_default());
            conversion.insert("webhook".to_owned(), webhook.into());
        }
    }
    let versions = spec.get_mut("versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten().filter_map(Value::as_object_mut) {
        for (name, value) in &of_all {
            if let Some(value) = value {
                version.insert((*name).to_owned(), value.clone());
            }
        }
        columns(version);
    }
}

/// The path of a printer column has another name in `v1`.
fn columns(version: &mut Map<String, Value>) {
    let columns = version.get_mut("additionalPrinterColumns").and_then(Value::as_array_mut);
    for column in columns.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(path) = column.shift_remove("JSONPath") {
            column.insert("jsonPath".to_owned(), path);
        }
    }
}

/// Goes through an object and its schema side by side, which ends where the object does.
fn embedded(json: &mut Value, schema: &Value, root: bool) {
    let is_object = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
    if is_object
        && !root
        && let Some(Value::Object(metadata)) = json.get_mut("metadata")
        && metadata.get("creationTimestamp") == Some(&Value::Null)
    {
        metadata.shift_remove("creationTimestamp");
    }
    match json {
        Value::Object(map) => {
            let (named, others) = (schema.get("properties"), schema.get("additionalProperties"));
            for (name, value) in map {
                if let Some(schema) = named.and_then(|named| named.get(name)).or(others) {
                    embedded(value, schema, false);
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| embedded(item, schema, false));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(stored: Value, schema: Option<&Value>) -> Value {
        let mut object = Object::decode(stored.to_string().as_bytes()).unwrap();
        serve(&mut object, 7, schema);
        object.json.into()
    }

    #[test]
    fn a_definition_says_for_each_version_what_it_said_for_all() {
        let stored = json!({
            "kind": "CustomResourceDefinition",
            "apiVersion": "apiextensions.k8s.io/v1beta1",
            "metadata": {"name": "x"},
            "spec": {
                "version": "v1", "validation": {"openAPIV3Schema": {}}, "subresources": {"status": {}},
                "additionalPrinterColumns": [{"name": "A", "JSONPath": ".a"}],
                "conversion": {
                    "strategy": "Webhook",
                    "webhookClientConfig": {"url": "u"},
                    "conversionReviewVersions": ["v1"],
                },
                "versions": [
                    {"name": "v1", "served": true, "storage": true},
                    {"name": "v2", "served": true, "storage": false},
                ],
            },
        });
        let version = |name: &str, storage: bool| {
            json!({
                "name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {}},
                "subresources": {"status": {}}, "additionalPrinterColumns": [{"name": "A", "jsonPath": ".a"}],
            })
        };
        let due = json!({
            "kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1",
            "metadata": {"name": "x", "resourceVersion": "7"},
            "spec": {
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {"clientConfig": {"url": "u"}, "conversionReviewVersions": ["v1"]},
                },
                "preserveUnknownFields": true, "versions": [version("v1", true), version("v2", false)],
            },
        });
        assert_eq!(served(stored, None), due);
        let old = json!({
            "kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1beta1", "metadata": {},
            "spec": {"version": "v3", "preserveUnknownFields": false},
        });
        let due = json!({"versions": [{"name": "v3", "served": true, "storage": true}]});
        assert_eq!(served(old, None)["spec"], due);
    }

    #[test]
    fn only_what_is_embedded_loses_its_null_time() {
        let schema = json!({"properties": {
            "in": {"type": "array", "items": {"x-kubernetes-embedded-resource": true}},
            "out": {"type": "object"},
        }});
        let inner = || json!({"metadata": {"creationTimestamp": null}});
        let stored = json!({
            "apiVersion": "a.b/v1", "kind": "K", "metadata": {"name": "n"}, "in": [inner()], "out": inner(),
        });
        let due = json!({
            "apiVersion": "a.b/v1", "kind": "K", "metadata": {"name": "n", "resourceVersion": "7"},
            "in": [{"metadata": {}}], "out": inner(),
        });
        assert_eq!(served(stored, Some(&schema)), due);
    }

    #[test]
    fn a_claim_without_a_phase_is_pending() {
        let kind = "PersistentVolumeClaim";
        let claim =
            |status: Value| json!({"apiVersion": "v1", "kind": kind, "metadata": {}, "status": status});
        assert_eq!(served(claim(json!({})), None)["status"], json!({"phase": "Pending"}));
        assert_eq!(served(claim(json!({"phase": "Bound"})), None)["status"], json!({"phase": "Bound"}));
    }
}

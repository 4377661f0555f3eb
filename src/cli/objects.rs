//! Values that are Kubernetes objects, in the commands about keys: named, decoded, compared.

use coldbolt::kube::changes::found::FieldChanges;
use coldbolt::kube::decode::Object;
use coldbolt::kube::secret::{Redactor, may_be_secret};
use coldbolt::kube::serve::{hide_managed_fields, serve};
use coldbolt::store::value_diff::value_diff;
use serde_json::{Value, json};

use super::kube::args::Secrets;
use super::kube::changes::lines;
use super::out::{clean, count, size};
use super::progress::Terminal;

/// Says of how many Secrets the data was not shown, if there are some.
pub fn say_redacted(redactor: Option<&Redactor>, monitor: &Terminal) {
    let redacted = redactor.map_or(0, Redactor::redacted);
    if redacted > 0 {
        let objects = if redacted == 1 { "1 Secret" } else { &format!("{} Secrets", count(redacted)) };
        monitor.say(&format!("the data of {objects} is redacted: --show-secrets shows it"));
    }
}

/// How objects are shown.
pub struct Objects {
    redactor: Option<Redactor>,
}

impl Objects {
    pub fn new(secrets: &Secrets) -> Objects {
        Objects { redactor: secrets.redactor() }
    }

    /// With or without what is secret.
    pub fn with(secrets: bool) -> Objects {
        Objects { redactor: (!secrets).then(Redactor::keyed) }
    }

    /// Says of how many Secrets the data was not shown.
    pub fn say_redacted(&self, monitor: &Terminal) {
        say_redacted(self.redactor.as_ref(), monitor);
    }

    /// The object as an API server would answer it, if the value is one.
    pub fn decode(&self, key: &[u8], value: &[u8], mod_revision: i64) -> Option<Object> {
        let mut object = Object::decode(value).ok()?;
        serve(&mut object, mod_revision, None);
        self.hide(key, &mut object);
        Some(object)
    }

    /// The object as it is stored, if the value is one.
    pub fn stored(&self, key: &[u8], value: &[u8]) -> Option<Object> {
        let mut object = Object::decode(value).ok()?;
        self.hide(key, &mut object);
        Some(object)
    }

    /// Takes out what is not shown: managed fields, and what is secret.
    pub fn hide(&self, key: &[u8], object: &mut Object) {
        hide_managed_fields(&mut object.json);
        self.redact(key, object);
    }

    fn redact(&self, key: &[u8], object: &mut Object) {
        if let Some(redactor) = &self.redactor {
            redactor.redact(key, object);
        }
    }

    /// The hash of a value; of one that is a Secret or may be, by the key of this run.
    pub fn sha256(&self, key: &[u8], value: &[u8]) -> String {
        match &self.redactor {
            Some(redactor) if may_be_secret(key, Object::decode(value).as_ref()) => redactor.sha256(value),
            _ => Redactor::plain().sha256(value),
        }
    }

    /// What is shown in the place of a value that is a Secret, or that is broken and may be one.
    pub fn hidden(&self, key: &[u8], value: &[u8]) -> Option<String> {
        let redactor = self.redactor.as_ref()?;
        may_be_secret(key, Object::decode(value).as_ref()).then(|| redactor.mark(value))
    }

    /// What changed from one value to the other, a line each, as `value_diff` has it: of objects by their fields. JSON
    /// is its own form, and exact.
    pub fn changes(&self, key: &[u8], before: &[u8], after: &[u8]) -> Vec<String> {
        let objects = [before, after].map(Object::decode);
        let hidden =
            self.redactor.is_some() && objects.iter().any(|object| may_be_secret(key, object.as_ref()));
        let json = !hidden && [before, after].iter().all(|value| value.starts_with(b"{"));
        match objects {
            [Ok(mut a), Ok(mut b)] if before != after && !json => {
                [&mut a, &mut b].into_iter().for_each(|object| self.redact(key, object));
                let found = lines(&FieldChanges::between(&a, &b, &[]), ".");
                if found.is_empty() {
                    vec!["= the same object, written differently".to_owned()]
                } else {
                    found
                }
            }
            _ if hidden && before != after => {
                let [a, b] = [before, after].map(|value| size(value.len() as u64));
                vec![format!("~ {a} -> {b}, of which one is a Secret or may be")]
            }
            _ => value_diff(before, after),
        }
    }
}

/// Which object it is, as kubectl is asked for it: `deployment.apps/web -n shop`.
pub fn name(object: &Object) -> String {
    let namespace = match object.namespace() {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    let name = format!("{}/{}{namespace}", object.qualified(), object.name());
    clean(&name).replace('\n', "\\n")
}

/// The same as fields of an object.
pub fn named(object: &Object) -> Value {
    let mut metadata = json!({ "name": object.name() });
    if let (false, Some(map)) = (object.namespace().is_empty(), metadata.as_object_mut()) {
        map.insert("namespace".to_owned(), object.namespace().into());
    }
    json!({ "apiVersion": object.api_version, "kind": object.kind, "metadata": metadata })
}

//! What etcdutl logs, for the scripts that look for it: zap's console form, with this program in the place of the
//! source's file and line.

use serde_json::Value;

use crate::cli::progress::Terminal;

/// One line. Fields are an object.
pub fn info(monitor: &Terminal, what: &str, fields: &Value) {
    said(monitor, "info", what, fields);
}

/// The same, of what ought to be looked at.
pub fn warn(monitor: &Terminal, what: &str, fields: &Value) {
    said(monitor, "warn", what, fields);
}

fn said(monitor: &Terminal, level: &str, what: &str, fields: &Value) {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    monitor.log(&[&now, level, "coldbolt", what, &spaced(fields)]);
}

/// JSON with a space after each comma and colon, as zap's console encoder has it.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spaced(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(all) => format!("[{}]", all.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

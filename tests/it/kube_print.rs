//! Templates, columns, orders and selectors: as Go's own code answers, and in the binary.

use std::io::{BufRead, BufReader};

use flate2::read::GzDecoder;
use serde_json::Value;
use support::kube_print::{agree, recorded};

#[test]
fn templates_columns_orders_and_selectors_are_answered_as_go_answers_them() {
    let file = BufReader::new(GzDecoder::new(std::fs::File::open(recorded()).unwrap()));
    let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let differ: Vec<_> = lines.iter().filter_map(|line| agree(line, line).err()).collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), lines.len(), differ.join("\n"));
    assert!(lines.len() > 600);
}

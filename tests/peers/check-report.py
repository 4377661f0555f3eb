"""check-report.py sarif|junit|prometheus FILE: exits 1 and says why if FILE is not valid. PYTHONPATH and SCHEMAS are set by the caller."""

import json
import os
import sys
from pathlib import Path

kind, path = sys.argv[1], Path(sys.argv[2])
schemas = Path(os.environ["SCHEMAS"])

if kind == "sarif":
    import jsonschema

    schema = json.loads((schemas / "sarif-2.1.0.json").read_text())
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
    assert "uri-reference" in validator.format_checker.checkers, "URIs would not be checked"
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(json.loads(path.read_text()))]
elif kind == "junit":
    import xmlschema

    errors = [str(error) for error in xmlschema.XMLSchema(schemas / "junit-10.xsd").iter_errors(path)]
elif kind == "prometheus":
    from prometheus_client.parser import text_string_to_metric_families

    errors, names, series = [], set(), set()
    for family in text_string_to_metric_families(path.read_text()):
        if family.name in names or family.type != "gauge" or not family.documentation:
            errors.append(f"{family.name}: twice, of no type or without help")
        names.add(family.name)
        for sample in family.samples:
            # What the node exporter refuses the whole file for.
            if (key := (sample.name, tuple(sorted(sample.labels.items())))) in series or sample.timestamp:
                errors.append(f"{key}: twice, or with a timestamp")
            series.add(key)
    if not series:
        errors.append("no samples")

for error in errors:
    print(error)
sys.exit(bool(errors))

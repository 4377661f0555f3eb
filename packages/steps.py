#!/usr/bin/env python3
"""Runs the steps of action.yml and the script of packages/gitlab.yml in a shell, as their runners do, on backups that are good, damaged,
cut and missing: steps.py COLDBOLT ARCHIVE, the program and a release archive of it."""

import hashlib
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOOD = (ROOT / "fixtures/etcd-3.7.1/snapshot.db").read_bytes()


def expand(text, inputs, steps):
    """What ${{ }} stands for."""
    known = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": str(ROOT)}
    for step, outputs in steps.items():
        known |= {f"steps.{step}.outputs.{name}": value for name, value in outputs.items()}
    return re.sub(r"\$\{\{\s*(\S+)\s*\}\}", lambda found: known[found[1]], text)


def pairs(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


class Ran:
    def __init__(self, code, text, outputs, summary):
        self.code, self.text, self.outputs, self.summary = code, text, outputs, summary

    def holds(self, code, **outputs):
        assert self.code == code, f"ended with {self.code}, due is {code}:\n{self.text}"
        for name, value in outputs.items():
            assert self.outputs.get(name.replace("_", "-")) == value, f"{name}: {self.outputs}\n{self.text}"
        return self


def action(directory, path=None, **given):
    """The action with these inputs, step by step, in a directory."""
    document = yaml.safe_load((ROOT / "action.yml").read_text())
    inputs = {name: str(one.get("default", "")) for name, one in document["inputs"].items()}
    given = {name.replace("_", "-"): str(value) for name, value in given.items() if name != "first_on_path"} | {"path": str(path)}
    assert given.keys() <= inputs.keys(), given
    inputs |= given
    temp = pathlib.Path(tempfile.mkdtemp(dir=directory))
    files = {name: temp / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    text, code, steps = "", 0, {}
    for step in document["runs"]["steps"]:
        assert step["shell"] == "bash" and "${{" not in step["run"], step
        for file in files.values():
            file.touch()
        files["GITHUB_OUTPUT"].write_text("")
        (temp / "step.sh").write_text(step["run"])
        env = os.environ | {"RUNNER_TEMP": str(temp)} | {name: str(file) for name, file in files.items()}
        env |= {name: expand(value, inputs, steps) for name, value in step["env"].items()}
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(temp / "step.sh")]
        ran = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True)
        text, code = text + ran.stdout + ran.stderr, ran.returncode
        steps[step["id"]] = pairs(files["GITHUB_OUTPUT"])
        if code:
            break
    of = {name: expand(one["value"], inputs, {"verify": {"verdict": "", "exit-code": ""} | steps.get("verify", {})})
          for name, one in document["outputs"].items()}
    return Ran(code, text, of, files["GITHUB_STEP_SUMMARY"].read_text())


def gitlab(directory, program, **given):
    """The template's script with these variables, in a directory, under sh."""
    job = yaml.safe_load((ROOT / "packages/gitlab.yml").read_text())[".coldbolt-verify"]
    env = os.environ | job["variables"] | {"COLDBOLT": program} | given
    script = "\n".join(job["script"])
    ran = subprocess.run(["sh", "-ec", script], cwd=directory, env=env, capture_output=True, text=True)
    assert job["allow_failure"] == {"exit_codes": [4]}
    report = pathlib.Path(directory, job["artifacts"]["reports"]["junit"])
    if report.exists():
        xml.etree.ElementTree.parse(report)
    return Ran(ran.returncode, ran.stdout + ran.stderr, {}, "")


def backups(directory):
    (directory / "good one.db").write_bytes(GOOD)
    (directory / "--odd.db").write_bytes(GOOD)
    bad = bytearray(GOOD)
    bad[20000] ^= 1
    (directory / "bad.db").write_bytes(bad)
    # No trailer: whether its bytes are those that were saved cannot be said.
    (directory / "cut.db").write_bytes(GOOD[:-32])


def check_action(directory, program, archive):
    have = {"binary": program}
    good = action(directory, "good one.db\n--odd.db\n", **have, sarif="out.sarif", junit="out.xml")
    good.holds(0, verdict="good", exit_code="0")
    assert "good one.db" in good.summary, good.summary
    assert json.loads((directory / "out.sarif").read_text())["version"] == "2.1.0"
    xml.etree.ElementTree.parse(directory / "out.xml")

    bad = action(directory, "bad.db", **have, sarif="out.sarif").holds(1, verdict="bad", exit_code="1")
    assert "::error::" in bad.text and json.loads((directory / "out.sarif").read_text())["runs"][0]["results"], bad.text
    assert "::warning::" in action(directory, "bad.db", **have, fail_on="never").holds(0, verdict="bad").text
    action(directory, "bad.db", **have, fail_on="bad").holds(1, verdict="bad")
    action(directory, "cut.db", **have).holds(4, verdict="inconclusive")
    action(directory, "cut.db", **have, fail_on="bad").holds(0, verdict="inconclusive")
    action(directory, "nothing.db", **have, fail_on="never").holds(3, verdict="failed")
    action(directory, "good one.db", **have, fail_on="sometimes").holds(2, verdict="")
    action(directory, "", **have, fail_on="never").holds(2, verdict="failed")
    action(directory, "good one.db", **have, level="objects").holds(0, verdict="good")
    # Neither a part of a script nor a flag.
    action(directory, "$(touch ran)`touch ran`; touch ran", **have, policy="$(touch ran)").holds(2)
    assert not (directory / "ran").exists()
    (directory / "backup.toml").write_text("min-revision = 1000000\n")
    action(directory, "good one.db", **have, policy="backup.toml").holds(1, verdict="bad")

    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    action(directory, "good one.db", archive=archive.as_uri(), sha256=digest).holds(0, verdict="good")
    action(directory, "good one.db", archive=archive.as_uri(), sha256="0" * 64).holds(1, verdict="")
    action(directory, "good one.db", archive=archive.as_uri()).holds(2, verdict="")


def check_from_source(directory, program):
    """That cargo is asked for the right thing; what it then does is what .ci/run does all day."""
    cargo = directory / "bin" / "cargo"
    cargo.parent.mkdir()
    cargo.write_text('#!/bin/sh\n[ "$1 $3 $4" = "install --locked --path" ] || exit 9\n[ -f "$5/Cargo.toml" ] || exit 8\n'
                     f'mkdir -p "$7/bin" && cp "{program}" "$7/bin/coldbolt"\n')
    cargo.chmod(cargo.stat().st_mode | stat.S_IXUSR)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{cargo.parent}:{path}"
    action(directory, "good one.db").holds(0, verdict="good")
    os.environ["PATH"] = path


def check_gitlab(directory, program):
    gitlab(directory, program, COLDBOLT_PATHS="good one.db\n--odd.db").holds(0)
    assert (directory / "coldbolt-verify.xml").exists()
    gitlab(directory, program, COLDBOLT_PATHS="bad.db").holds(1)
    gitlab(directory, program, COLDBOLT_PATHS="cut.db").holds(4)
    gitlab(directory, program, COLDBOLT_PATHS="nothing.db").holds(3)
    gitlab(directory, program).holds(2)
    gitlab(directory, program, COLDBOLT_PATHS="good one.db", COLDBOLT_POLICY="backup.toml").holds(1)
    gitlab(directory, program, COLDBOLT_PATHS="good one.db", COLDBOLT_PREVIOUS="good one.db", COLDBOLT_LEVEL="objects").holds(0)
    gitlab(directory, program, COLDBOLT_PATHS="$(touch ran)").holds(3)
    assert not (directory / "ran").exists()


def main():
    program, archive = str(pathlib.Path(sys.argv[1]).resolve()), pathlib.Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        backups(directory)
        check_action(directory, program, archive)
        check_from_source(directory, program)
        check_gitlab(directory, program)
    print("the steps of action.yml and the script of packages/gitlab.yml do what they should")


main()

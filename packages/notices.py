#!/usr/bin/env python3
"""The licence texts of all crates that are in the program, as their licences ask for: notices.py TARGET, from the sources that
cargo has already fetched. A text that many bring is there once; a crate that brings none has its identifier named."""

import json
import pathlib
import subprocess
import sys

TEXTS = ("LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE")


def cargo(*words):
    return subprocess.run(["cargo", *words], check=True, capture_output=True, text=True).stdout


def packages(target):
    """Those that are compiled in."""
    tree = cargo("tree", "--locked", "--edges", "normal", "--prefix", "none", "--target", target, "--package", "coldbolt")
    used = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target))
    found = [package for package in metadata["packages"] if (package["name"], "v" + package["version"]) in used]
    return sorted((package for package in found if package["name"] != "coldbolt"), key=lambda one: (one["name"], one["version"]))


def texts(package):
    directory = pathlib.Path(package["manifest_path"]).parent
    for path in sorted(directory.iterdir()):
        if path.is_file() and path.name.upper().startswith(TEXTS):
            yield path.read_text(encoding="utf-8", errors="replace").strip()


def main():
    seen = {}
    print("coldbolt is made of these crates, beside its own source. Behind each: its licence, and which of the texts below come with it.\n")
    for package in packages(sys.argv[1]):
        numbers = []
        for text in texts(package):
            # Lines that are broken elsewhere make no other text.
            number, _ = seen.setdefault(" ".join(text.split()), (len(seen) + 1, text))
            numbers.append(str(number))
        print(f"{package['name']} {package['version']}: {package['license']}; {', '.join(numbers) or 'no text'}")
    for number, text in seen.values():
        print(f"\n{'=' * 40} {number} {'=' * 40}\n\n{text}")


main()

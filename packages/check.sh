#!/usr/bin/env bash
# packages/check.sh [OUT]: makes a release, or takes the one in OUT, and has each part of it do what people would do with it: unpacked,
# installed into empty roots, linted, run, as a container, by the templates for CI. Tools that are missing are installed by apt and pip.
# What cannot be run here is said as NOT RUN. As root, as packages are installed into a root by chroot.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
out=${1:-$tmp/release}
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
[[ $(uname -m) == x86_64 ]] || { echo "packages/check.sh: NOT RUN: it looks at the x86_64 packages, by running them"; exit 0; }

# The programs that look at all of it, and the packages they are in.
missing=()
while read -r program package; do command -v "$program" >/dev/null || missing+=("$package"); done <<'END'
buildah buildah
lintian lintian
rpm rpm
rpmlint rpmlint
mandoc mandoc
zsh zsh
fish fish
qemu-aarch64 qemu-user
ruby ruby
readelf binutils
curl curl
END
if ((${#missing[@]})); then apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; fi
python3 -c 'import yaml' 2>/dev/null || python3 -m pip install --quiet pyyaml

# part NAME: what comes now, with the seconds that the one before took.
part=
part_began=$SECONDS
part() {
  [[ -z $part ]] || printf '    %d s\n' $((SECONDS - part_began))
  part=$1
  part_began=$SECONDS
  [[ -z $part ]] || printf -- '--- %s\n' "$part"
}
fail() { printf '%s: %s\n' "$part" "$1" >&2; exit 1; }
# says DUE COMMAND...: that what it prints holds DUE.
says() { local due=$1 said; shift; said=$("$@" 2>&1) && [[ $said == *"$due"* ]] || fail "$*: no \"$due\" in: $said"; }

part "made, and made again"
export COLDBOLT_DOWNLOAD=${COLDBOLT_DOWNLOAD:-https://downloads.invalid}
[[ $# == 1 ]] || packages/release.sh "$out"
# From another umask into another directory: the same bytes.
(umask 077 && packages/release.sh "$tmp/elsewhere/again")
cmp "$out/SHA256SUMS" "$tmp/elsewhere/again/SHA256SUMS" || { diff "$out/SHA256SUMS" "$tmp/elsewhere/again/SHA256SUMS"; fail "two releases differ"; }
(cd "$out" && sha256sum --check --quiet SHA256SUMS)
due="SHA256SUMS coldbolt.rb"
while read -r target arch; do
  due+=" coldbolt-$version-$target.cdx.json coldbolt-$version-$target.tar.gz coldbolt_$version-1_$arch.deb coldbolt-$version-1.${target%%-*}.rpm"
done < <(sed '/^#/d' packages/targets.txt)
[[ $(ls "$out") == "$(tr ' ' '\n' <<<"$due" | sort)" ]] || fail "$(ls "$out")"

run() { case $1 in x86_64-*) shift && "$@" ;; aarch64-*) shift && qemu-aarch64 "$@" ;; *) fail "what runs $1?" ;; esac; }
unpacked=$tmp/coldbolt-$version-x86_64-unknown-linux-musl
while read -r target arch; do
  part "archive for $target"
  archive=$out/coldbolt-$version-$target.tar.gz
  tar --numeric-owner -tvzf "$archive" | awk '$2 != "0/0" { exit 1 }' || fail "owners"
  tar -xzf "$archive" -C "$tmp"
  dir=$tmp/coldbolt-$version-$target
  for file in README.md CHANGELOG.md SECURITY.md LICENSE THIRD-PARTY.txt man/man1/coldbolt-snapshot-status.1 completions/zsh/_etcdutl \
    schemas/coldbolt.verify-1.json; do
    [[ -s $dir/$file ]] || fail "no $file"
  done
  ! readelf --program-headers --wide "$dir/coldbolt" | grep INTERP || fail "not static"
  ! grep -aqF -e "$PWD/" -e "${CARGO_HOME:-$HOME/.cargo}/" -e "$HOME/.rustup/" "$dir/coldbolt" || fail "paths of this machine are in it"
  says "coldbolt $version" run "$target" "$dir/coldbolt" --version
  says "4f637741, 41, 24, 61 kB" run "$target" "$dir/coldbolt" status fixtures/small-3.5.1/snapshot.db
  says "good" run "$target" "$dir/coldbolt" verify fixtures/etcd-3.7.1/snapshot.db
  # The packages hold the same program.
  dpkg-deb --fsys-tarfile "$out/coldbolt_$version-1_$arch.deb" | tar -xO ./usr/bin/coldbolt | cmp - "$dir/coldbolt"
  rpm2archive - <"$out/coldbolt-$version-1.${target%%-*}.rpm" | tar -xzO ./usr/bin/coldbolt | cmp - "$dir/coldbolt"
done < <(sed '/^#/d' packages/targets.txt)

part "manual pages and completions"
mandoc -T lint -W error "$unpacked"/man/man1/*.1 || fail "manual pages"
# Each page that another one refers to is there.
grep -ohE 'coldbolt[a-z\\-]*\(1\)' "$unpacked"/man/man1/*.1 | tr -d '\\' | sed 's/(1)//' | sort -u | while read -r page; do
  [[ -s $unpacked/man/man1/$page.1 ]] || fail "no page $page"
done
for name in coldbolt etcdutl etcdctl bbolt etcd-dump-db; do
  bash -n "$unpacked/completions/bash/$name"
  zsh -n "$unpacked/completions/zsh/_$name"
  fish --no-execute "$unpacked/completions/fish/$name.fish"
done
completed=$(bash -c 'source "$0"; COMP_WORDS=(coldbolt sal) COMP_CWORD=1; _coldbolt coldbolt sal coldbolt; echo "${COMPREPLY[*]}"' "$unpacked/completions/bash/coldbolt")
[[ $completed == salvage ]] || fail "bash completes sal to $completed"
says salvage fish --no-config -c "source $unpacked/completions/fish/coldbolt.fish; complete --do-complete 'coldbolt sal'"

# in_root DIR: what has been installed there does what it should, seen from inside.
in_root() {
  says "coldbolt $version" chroot "$1" /usr/bin/coldbolt --version
  for file in share/man/man1/coldbolt.1.gz share/man/man1/coldbolt-kube-get.1.gz share/bash-completion/completions/coldbolt \
    share/fish/vendor_completions.d/coldbolt.fish share/coldbolt/schemas/coldbolt.verify-1.json "$2"; do
    [[ -s $1/usr/$file ]] || fail "no /usr/$file"
  done
  [[ -z $(find "$1/usr" ! -user root -o ! -group root -o -perm /022 ! -type l) ]] || fail "owners and modes: $(find "$1/usr" -perm /022 -ls)"
}

part "deb"
deb=$out/coldbolt_$version-1_amd64.deb
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$out"/*.deb
root=$tmp/deb
mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers}
touch "$root"/var/lib/dpkg/{status,available}
dpkg --root="$root" --force-script-chrootless --install "$deb" >/dev/null
in_root "$root" share/zsh/vendor-completions/_coldbolt
dpkg --root="$root" --purge coldbolt >/dev/null
[[ -z $(find "$root/usr" -type f 2>/dev/null) ]] || fail "left by purge: $(find "$root/usr" -type f)"

part "rpm"
rpmlint --config packages/rpmlint.toml "$out"/*.rpm >"$tmp/rpmlint" 2>&1 || { cat "$tmp/rpmlint"; fail "rpmlint"; }
grep -q ' 0 errors, 0 warnings' "$tmp/rpmlint" || { cat "$tmp/rpmlint"; fail "rpmlint"; }
root=$tmp/rpm
mkdir -p "$root"
rpm --root "$root" --initdb
rpm --root "$root" --force-debian --nosignature --install "$out/coldbolt-$version-1.x86_64.rpm"
in_root "$root" share/zsh/site-functions/_coldbolt
rpm --root "$root" --verify coldbolt || fail "rpm --verify"
rpm --root "$root" --force-debian --erase coldbolt

part "container"
builder() { buildah --root "$tmp/images" --runroot "$tmp/containers" --storage-driver vfs "$@"; }
# What a container needs of the machine, whatever is to be in it.
if ! why=$( (unshare --mount true && builder from scratch) 2>&1); then
  echo "container: NOT RUN: none can be made here: $why"
elif builder build --quiet --isolation chroot -f packages/Containerfile --build-arg "VERSION=$version" --timestamp 0 -t coldbolt "$unpacked" >"$tmp/image" 2>&1; then
  container=$(builder from coldbolt)
  [[ $(builder inspect --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' coldbolt) == "65532:65532 [/usr/bin/coldbolt]" ]] || fail "user"
  [[ $(builder inspect --format '{{index .OCIv1.Config.Labels "org.opencontainers.image.version"}}' coldbolt) == "$version" ]] || fail "label"
  says "good" builder run --isolation chroot --volume "$PWD/fixtures:/fixtures:ro" "$container" -- \
    /usr/bin/coldbolt verify /fixtures/etcd-3.7.1/snapshot.db
  builder rm "$container" >/dev/null
else
  cat "$tmp/image"
  fail "it is not built"
fi

part "templates for CI"
packages/steps.py "$unpacked/coldbolt" "$out/coldbolt-$version-x86_64-unknown-linux-musl.tar.gz"

part "Homebrew's formula"
ruby packages/formula.rb "$out/coldbolt.rb" "$unpacked"

part "the crate"
packages/crate.sh
part ""

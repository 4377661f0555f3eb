#!/usr/bin/env bash
# packages/release.sh OUT: everything that a release consists of, in the new directory OUT: an archive, a deb and an rpm for each
# target of packages/targets.txt, bills of materials, and SHA256SUMS over all of it. macOS and Windows are not yet among them.
#
# The same commit gives the same bytes: times are SOURCE_DATE_EPOCH, by default the commit's. The packages name a maintainer:
# COLDBOLT_MAINTAINER ("Name <mail>"), by default the author of the commit. Where COLDBOLT_DOWNLOAD says from which URL the files of OUT will
# be had, a Homebrew formula is among them. Needs dpkg-deb, rpmbuild (Debian: rpm), and cargo-cyclonedx as .ci/run installs it.
set -euo pipefail
[[ $# == 1 ]] || { sed -n '2,7s/^# \?//p' "$0"; exit 2; }
out=$(realpath -m "$1")
[[ ! -e $out ]] || { echo "$out exists already" >&2; exit 1; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
umask 022

export PATH=${COLDBOLT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/tools}/bin:$PATH
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
maintainer=${COLDBOLT_MAINTAINER:-$(git log -1 --format='%an <%ae>')}
version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
mkdir -p "$(dirname "$out")"
tmp=$(mktemp -d -p "$(dirname "$out")" .release.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
mkdir "$tmp/out"
# How hard is pressed: what nobody is given need not be small.
level=${COLDBOLT_QUICK:+1}
level=${level:-9}

built=$(packages/build.sh)

# What is the same for all targets is asked of the program that runs here.
here=$built/$(uname -m)-unknown-linux-musl/release/coldbolt
common=$tmp/common
install -D -m 644 -t "$common" README.md CHANGELOG.md SECURITY.md LICENSE
install -D -m 644 -t "$common/schemas" packages/schemas/*.json
mkdir -p "$common/man" "$common/completions"/{bash,zsh,fish}
"$here" man --all "$common/man/man1"
chmod 755 "$common/man/man1"
chmod 644 "$common"/man/man1/*
# As itself, and as the programs whose place it takes when a link has their name, but the one that has no completion.
for name in coldbolt etcdutl etcdctl bbolt etcd-dump-db; do
  as=()
  [[ $name == coldbolt ]] || as=(as "$name")
  "$here" "${as[@]}" completion bash >"$common/completions/bash/$name"
  "$here" "${as[@]}" completion zsh >"$common/completions/zsh/_$name"
  "$here" "${as[@]}" completion fish >"$common/completions/fish/$name.fish"
done

# tree DIR STAGE ZSH: what both packages hold, where systems look for it.
tree() {
  install -D -m 755 "$2/coldbolt" "$1/usr/bin/coldbolt"
  install -D -m 644 -t "$1/usr/share/man/man1" "$2"/man/man1/*
  gzip -9n "$1"/usr/share/man/man1/*
  install -D -m 644 -t "$1/usr/share/bash-completion/completions" "$2/completions/bash/coldbolt"
  install -D -m 644 -t "$1/usr/share/fish/vendor_completions.d" "$2/completions/fish/coldbolt.fish"
  install -D -m 644 -t "$1/usr/share/zsh/$3" "$2/completions/zsh/_coldbolt"
  install -D -m 644 -t "$1/usr/share/coldbolt/schemas" "$2"/schemas/*
  install -D -m 644 -t "$1/usr/share/doc/coldbolt" "$2/README.md"
}

# fill FILE WORD=VALUE...: a template with its words.
fill() {
  local file=$1 words=() word
  shift
  for word in "$@"; do words+=(-e "s|@${word%%=*}@|${word#*=}|g"); done
  sed "${words[@]}" "$file"
}

# deb STAGE ARCH
deb() {
  local tree=$tmp/deb-$2
  local doc=$tree/usr/share/doc/coldbolt
  tree "$tree" "$1" vendor-completions
  gzip -9nc "$1/CHANGELOG.md" >"$doc/changelog.gz"
  gzip -9nc "$1/THIRD-PARTY.txt" >"$doc/THIRD-PARTY.txt.gz"
  printf 'coldbolt (%s-1) unstable; urgency=low\n\n  * Release %s: changelog.gz tells what is in it.\n\n -- %s  %s\n' \
    "$version" "$version" "$maintainer" "$(date -uRd "@$SOURCE_DATE_EPOCH")" | gzip -9nc >"$doc/changelog.Debian.gz"
  {
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: coldbolt\n\n'
    printf 'Files: *\nCopyright: %s The authors of coldbolt\nLicense: Apache-2.0\n' "$(date -ud "@$SOURCE_DATE_EPOCH" +%Y)"
    printf ' On Debian systems the text of this licence is in /usr/share/common-licenses/Apache-2.0.\n'
    printf ' The licences of the crates that the program is made of are in /usr/share/doc/coldbolt/THIRD-PARTY.txt.gz.\n'
  } >"$doc/copyright"
  install -D -m 644 packages/lintian-overrides "$tree/usr/share/lintian/overrides/coldbolt"
  mkdir "$tree/DEBIAN"
  (cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  fill packages/control.in "VERSION=$version" "ARCH=$2" "MAINTAINER=$maintainer" "SIZE=$(du -sk --apparent-size "$tree/usr" | cut -f1)" \
    >"$tree/DEBIAN/control"
  dpkg-deb --root-owner-group -Zxz "-z$level" --build "$tree" "$tmp/out/coldbolt_$version-1_$2.deb" >/dev/null
}

# rpm STAGE CPU
rpm() {
  local tree=$tmp/rpm-$2
  tree "$tree" "$1" site-functions
  install -m 644 "$1/CHANGELOG.md" "$tree/usr/share/doc/coldbolt"
  install -D -m 644 -t "$tree/usr/share/licenses/coldbolt" "$1/LICENSE" "$1/THIRD-PARTY.txt"
  fill packages/coldbolt.spec.in "VERSION=$version" "MAINTAINER=$maintainer" "TREE=$tree" \
    "DAY=$(LC_ALL=C date -ud "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" >"$tmp/coldbolt.spec"
  rpmbuild --quiet --target "$2-linux" --define "_binary_payload w$level.gzdio" --define "_topdir $tmp/rpmbuild" --define "_rpmdir $tmp/out" \
    --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' -bb "$tmp/coldbolt.spec" 2>"$tmp/rpmbuild.log" ||
    { cat "$tmp/rpmbuild.log" >&2; return 1; }
}

while read -r target arch; do
  name=coldbolt-$version-$target
  cp -r "$common" "$tmp/$name"
  install -m 755 "$built/$target/release/coldbolt" "$tmp/$name/coldbolt"
  packages/notices.py "$target" >"$tmp/$name/THIRD-PARTY.txt"
  cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps --target "$target"
  # Beside Cargo.toml is the only place it knows.
  mv coldbolt_bin.cdx.json "$tmp/out/$name.cdx.json"
  tar -C "$tmp" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$name" |
    gzip "-${level}n" >"$tmp/out/$name.tar.gz"
  deb "$tmp/$name" "$arch"
  rpm "$tmp/$name" "${target%%-*}"
done < <(sed '/^#/d' packages/targets.txt)

if [[ -n ${COLDBOLT_DOWNLOAD:-} ]]; then
  digest() { sha256sum "$tmp/out/coldbolt-$version-$1.tar.gz" | cut -d' ' -f1; }
  fill packages/coldbolt.rb.in "DOWNLOAD=${COLDBOLT_DOWNLOAD%/}" "VERSION=$version" "X86_64=$(digest x86_64-unknown-linux-musl)" \
    "AARCH64=$(digest aarch64-unknown-linux-musl)" >"$tmp/out/coldbolt.rb"
fi
(cd "$tmp/out" && find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >"$tmp/SHA256SUMS")
mv "$tmp/SHA256SUMS" "$tmp/out"
chmod 755 "$tmp/out"
mv -T "$tmp/out" "$out"
echo "$out: $(wc -l <"$out/SHA256SUMS") files${COLDBOLT_QUICK:+, of programs that are not optimised: not to be given to anybody}"

#!/usr/bin/env bash
# bbolt's own tests of its command (go.etcd.io/bbolt, cmd/bbolt/command), run with the real program and with coldbolt under its
# name: whatever the real one passes, coldbolt is to pass, but for the list below. Arguments: the program coldbolt, and, if it is
# not installed, the real bbolt. The tests are taken from Go's module cache and changed outside the repository.
set -euo pipefail

coldbolt=$(realpath "${1:?the program coldbolt}")
peers=${COLDBOLT_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/peers}
version=1.5.0
real=$(realpath "${2:-$peers/bbolt-$version/bbolt}")
export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0

# A test that only the real one passes, and why: `Name reason`, one a line. There is none.
allowed=''

work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
module=$(go mod download -json "go.etcd.io/bbolt@v$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
cp -r "$module" "$work/bbolt"
chmod -R u+w "$work/bbolt"

# The command's root becomes one that runs $PROGRAM. Errors that tests compare by identity are found again by their text.
cat >"$work/bbolt/cmd/bbolt/command/command_root.go" <<'GO'
package command

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"go.etcd.io/bbolt/internal/guts_cli"
)

func NewRootCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "bbolt",
		DisableFlagParsing: true,
		SilenceErrors:      true,
		SilenceUsage:       true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var told bytes.Buffer
			program := exec.Command(os.Getenv("PROGRAM"), args...)
			program.Stdout = cmd.OutOrStdout()
			program.Stderr = io.MultiWriter(&told, cmd.ErrOrStderr())
			err := program.Run()
			if err == nil {
				return nil
			}
			_, text, _ := strings.Cut(told.String(), "Error: ")
			text, _, _ = strings.Cut(text, "\n")
			for _, known := range []error{guts_cli.ErrCorrupt, ErrInvalidPageArgs, ErrSurgeryFreelistAlreadyExist} {
				if known.Error() == text {
					return known
				}
			}
			return errors.New(text + ": " + err.Error())
		},
	}
}
GO

# Names of the tests that passed, and the others' with what went wrong in $1.log.
run() {
  mkdir "$work/$1"
  ln -s "$2" "$work/$1/bbolt"
  (cd "$work/bbolt" && PROGRAM=$work/$1/bbolt go test -p 2 -count=1 -v ./cmd/bbolt/command/...) >"$work/$1.log" 2>&1 || true
  sed -n 's/^ *--- PASS: \([^ ]*\) .*/\1/p' "$work/$1.log" | sort >"$work/$1.passed"
}

run real "$real"
run coldbolt "$coldbolt"
all=$(wc -l <"$work/real.passed")
((all > 90)) || { tail -20 "$work/real.log"; echo "bbolt-suite: the real bbolt passes only $all tests" >&2; exit 1; }
missing=$(comm -23 "$work/real.passed" "$work/coldbolt.passed" | grep -vxFf <(cut -d' ' -f1 <<<"$allowed" | grep .) || true)
echo "bbolt-suite: the real bbolt passes $all tests, coldbolt $(wc -l <"$work/coldbolt.passed")"
[[ -z $missing ]] || { cp "$work/coldbolt.log" ./bbolt-suite.log 2>/dev/null || true; echo "only the real one: $missing" >&2; exit 1; }

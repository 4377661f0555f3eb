package main

import (
	"fmt"
	"io"
	"strings"
)

// A message: its fields in the order of the struct, which is that of JSON.
type message struct {
	// What it is in JSON, if not an object of its fields.
	special string
	fields  []field
	// A list or map of which none is told from an empty one.
	nullable bool
}

type field struct {
	number int
	// In JSON; none of what is inlined.
	name string
	// `string`, `[]` and `{}` before it for lists and maps, or the name of a message.
	kind                       string
	pointer, omitEmpty, inline bool
	// The first minor of Kubernetes from which on JSON leaves out a zero.
	omitZero string
	// No longer in the newest release that has the message.
	gone bool
}

// A kind, and in which minors of Kubernetes it was.
type kind struct {
	message     string
	first, last string
	cluster     bool
}

type table struct {
	messages map[string]*message
	kinds    map[string]*kind
}

// Adds a release that is newer than all before it.
func (t *table) add(r *release) {
	for name, m := range r.out {
		if old := t.messages[name]; old != nil && m.special == "" {
			m.keep(old)
		}
		t.messages[name] = m
	}
	for _, importPath := range sorted(r.packages) {
		s := r.packages[importPath]
		for _, registered := range s.kinds {
			name := strings.Join(registered[:], " ")
			k := t.kinds[name]
			if k == nil {
				k = &kind{first: r.minor}
				t.kinds[name] = k
			}
			k.message, k.last = short(importPath)+"."+registered[1], r.minor
			k.cluster = k.cluster || s.cluster[registered[1]]
		}
	}
}

// Takes over what an older release had and this one does not: fields, behind the one they stood behind, and since when
// a zero is left out.
func (m *message) keep(old *message) {
	at := map[int]int{}
	for i := range m.fields {
		at[m.fields[i].number] = i
	}
	behind := -1
	for _, f := range old.fields {
		if i, there := at[f.number]; there {
			if f.omitZero != "" && m.fields[i].omitZero != "" {
				m.fields[i].omitZero = f.omitZero
			}
			behind = f.number
			continue
		}
		f.gone = true
		place := 0
		for i := range m.fields {
			if m.fields[i].number == behind {
				place = i + 1
			}
		}
		m.fields = append(m.fields[:place], append([]field{f}, m.fields[place:]...)...)
		behind = f.number
	}
}

const head = `# The messages of Kubernetes' API as protobuf, for src/kube/schema: made by tests/peers/go/kube-schema, do not edit.
#
# Facts from the struct tags of these Go modules (Apache-2.0, The Kubernetes Authors and Red Hat), oldest first:
%s#
# P package
# K apiVersion kind first-last minor [c of the cluster, not of a namespace]; its message is of the same package and name
# M message [what it is in JSON, if not an object]
#   number name (= inlined) type [* pointer] [? omitempty] [zN omitzero since 1.N] [- gone from the newest module]
`

func (t *table) write(out io.Writer) {
	var from strings.Builder
	for line := range strings.Lines(modules) {
		if !strings.HasPrefix(line, "#") {
			fmt.Fprintf(&from, "#   %s", line)
		}
	}
	fmt.Fprintf(out, head, from.String())
	kinds := map[string][]string{}
	for _, name := range sorted(t.kinds) {
		pkg, _ := split(t.kinds[name].message)
		kinds[pkg] = append(kinds[pkg], name)
	}
	in := ""
	for _, full := range sorted(t.messages) {
		pkg, name := split(full)
		if pkg != in {
			fmt.Fprintf(out, "P %s\n", pkg)
			for _, kind := range kinds[pkg] {
				t.kinds[kind].write(out, kind)
			}
			in = pkg
		}
		m := t.messages[full]
		fmt.Fprintf(out, "M %s", name)
		if m.special != "" {
			fmt.Fprintf(out, " %s", m.special)
		}
		fmt.Fprintln(out)
		for _, f := range m.fields {
			f.write(out, pkg)
		}
	}
}

// The package and the name of a message.
func split(full string) (string, string) {
	dot := strings.LastIndex(full, ".")
	return full[:dot], full[dot+1:]
}

func (k *kind) write(out io.Writer, name string) {
	fmt.Fprintf(out, "K %s %s-%s", name, k.first, k.last)
	if k.cluster {
		fmt.Fprint(out, " c")
	}
	fmt.Fprintln(out)
}

func (f *field) write(out io.Writer, pkg string) {
	name := f.name
	if f.inline {
		name = "="
	}
	prefix, kind := "", f.kind
	for strings.HasPrefix(kind, "[]") || strings.HasPrefix(kind, "{}") {
		prefix, kind = prefix+kind[:2], kind[2:]
	}
	if rest, found := strings.CutPrefix(kind, pkg+"."); found {
		kind = rest
	}
	fmt.Fprintf(out, " %d %s %s%s", f.number, name, prefix, kind)
	for _, flag := range []struct {
		set  bool
		text string
	}{{f.pointer, "*"}, {f.omitEmpty, "?"}, {f.omitZero != "", "z" + f.omitZero}, {f.gone, "-"}} {
		if flag.set {
			fmt.Fprintf(out, " %s", flag.text)
		}
	}
	fmt.Fprintln(out)
}

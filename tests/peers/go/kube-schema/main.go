// kube-schema writes the table by which coldbolt decodes Kubernetes objects: every message that an API server may have
// stored, with the number, JSON name and type of each field, as the struct tags of Kubernetes' published Go modules
// tell them. The modules are those of modules.txt, one release of each minor; they are parsed, not built, so nothing
// but their own source is needed.
//
// Newer modules win where they differ from older ones. What only older ones have is kept: a field number is never used
// again for another field, and a file may hold kinds that are long gone.
//
//	kube-schema >src/kube/schema/table.txt
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
)

//go:embed modules.txt
var modules string

// A module of modules.txt, and where its source lies.
type module struct {
	minor, path, version, sum, dir string
}

func main() {
	var releases [][]module
	for line := range strings.Lines(modules) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var m module
		if _, err := fmt.Sscan(line, &m.minor, &m.path, &m.version, &m.sum); err != nil {
			die("modules.txt: %q: %v", line, err)
		}
		m.download()
		if n := len(releases); n == 0 || releases[n-1][0].minor != m.minor {
			releases = append(releases, nil)
		}
		releases[len(releases)-1] = append(releases[len(releases)-1], m)
	}
	t := table{messages: map[string]*message{}, kinds: map[string]*kind{}}
	for _, release := range releases {
		t.add(read(release))
	}
	out := bufio.NewWriter(os.Stdout)
	t.write(out)
	if err := out.Flush(); err != nil {
		die("%v", err)
	}
}

// Has the module downloaded, by the ordinary client, and compares its hash with the one that was reviewed.
func (m *module) download() {
	temp, err := os.MkdirTemp("", "kube-schema")
	if err != nil {
		die("%v", err)
	}
	defer os.RemoveAll(temp)
	command := exec.Command("go", "mod", "download", "-json", m.path+"@"+m.version)
	// Outside any module, so that no other one's requirements count.
	command.Dir = temp
	command.Env = append(os.Environ(), "GO111MODULE=on", "GOWORK=off", "GOFLAGS=")
	output, err := command.Output()
	var got struct{ Dir, Sum, Error string }
	if json.Unmarshal(output, &got); err != nil || got.Error != "" {
		die("%s@%s: %v %s", m.path, m.version, err, got.Error)
	}
	if got.Sum != m.sum {
		die("%s@%s: its hash is %s, modules.txt says %s", m.path, m.version, got.Sum, m.sum)
	}
	m.dir = got.Dir
}

// The name of a package in the table: its path without what all have in common.
func short(importPath string) string {
	for _, prefix := range []string{
		"k8s.io/api/", "k8s.io/apimachinery/pkg/apis/", "k8s.io/apimachinery/pkg/",
		"k8s.io/apiextensions-apiserver/pkg/apis/", "k8s.io/kube-aggregator/pkg/apis/",
	} {
		if rest, found := strings.CutPrefix(importPath, prefix); found {
			return rest
		}
	}
	if rest, found := strings.CutPrefix(importPath, "github.com/openshift/api/"); found {
		return path.Join("openshift", rest)
	}
	return importPath
}

func die(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "kube-schema: "+format+"\n", args...)
	os.Exit(1)
}

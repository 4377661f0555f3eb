// kube-print answers as kubectl prints: it reads lines of JSON, and writes a line of JSON for each.
//
// {"what": "jsonpath" | "jsonpath-as-json" | "custom-columns" | "custom-columns-file" | "sort" | "labels" | "fields" | "relaxed",
// "template": "...", "object": {...}, "strict": false, "no_headers": false, "times": 1}
//
// The answer has "out", one or, of what Go takes in an order of chance, several; or "error", or "panic".
package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/jsonpath"
	"k8s.io/kubectl/pkg/cmd/get"
	"k8s.io/kubectl/pkg/scheme"
)

type question struct {
	What      string          `json:"what"`
	Template  string          `json:"template"`
	Object    json.RawMessage `json:"object"`
	Strict    bool            `json:"strict"`
	NoHeaders bool            `json:"no_headers"`
	Times     int             `json:"times"`
}

type answer struct {
	Out   []string `json:"out,omitempty"`
	Error []string `json:"error,omitempty"`
	Panic bool     `json:"panic,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var q question
			if err := json.Unmarshal(line, &q); err != nil {
				panic(err)
			}
			text, err := json.Marshal(all(q))
			if err != nil {
				panic(err)
			}
			out.Write(append(text, '\n'))
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(err)
		}
	}
}

// all asks so often that every order has its chance.
func all(q question) answer {
	outs, errs, panics := map[string]bool{}, map[string]bool{}, false
	for i := 0; i < max(q.Times, 1); i++ {
		text, err, panicked := once(q)
		switch {
		case panicked:
			panics = true
		case err != nil:
			errs[err.Error()] = true
		default:
			outs[base64.StdEncoding.EncodeToString(text)] = true
		}
	}
	return answer{Out: keys(outs), Error: keys(errs), Panic: panics}
}

func keys(set map[string]bool) []string {
	var all []string
	for key := range set {
		all = append(all, key)
	}
	sort.Strings(all)
	return all
}

func once(q question) (text []byte, err error, panicked bool) {
	defer func() {
		if recover() != nil {
			panicked = true
		}
	}()
	text, err = ask(q)
	return text, err, false
}

// object is read as kubectl reads what it is answered.
func object(raw json.RawMessage) (runtime.Object, error) {
	return runtime.Decode(unstructured.UnstructuredJSONScheme, raw)
}

func ask(q question) ([]byte, error) {
	var out bytes.Buffer
	switch q.What {
	case "relaxed":
		text, err := get.RelaxedJSONPathExpression(q.Template)
		return []byte(text), err
	case "jsonpath", "jsonpath-as-json":
		obj, err := object(q.Object)
		if err != nil {
			return nil, err
		}
		path := jsonpath.New("out").AllowMissingKeys(!q.Strict)
		if err := path.Parse(q.Template); err != nil {
			return nil, err
		}
		path.EnableJSONOutput(q.What == "jsonpath-as-json")
		err = path.Execute(&out, obj.(runtime.Unstructured).UnstructuredContent())
		return out.Bytes(), err
	case "custom-columns", "custom-columns-file":
		obj, err := object(q.Object)
		if err != nil {
			return nil, err
		}
		decoder := scheme.Codecs.UniversalDecoder(scheme.Scheme.PrioritizedVersionsAllGroups()...)
		var printer *get.CustomColumnsPrinter
		if q.What == "custom-columns" {
			printer, err = get.NewCustomColumnsPrinterFromSpec(q.Template, decoder, q.NoHeaders)
		} else {
			printer, err = get.NewCustomColumnsPrinterFromTemplate(strings.NewReader(q.Template), decoder)
		}
		if err != nil {
			return nil, err
		}
		err = printer.PrintObj(obj, &out)
		return out.Bytes(), err
	case "sort":
		obj, err := object(q.Object)
		if err != nil {
			return nil, err
		}
		list := obj.(*unstructured.UnstructuredList)
		var objects []runtime.Object
		for i := range list.Items {
			objects = append(objects, &list.Items[i])
		}
		if _, err := get.SortObjects(nil, objects, q.Template); err != nil {
			return nil, err
		}
		for _, obj := range objects {
			fmt.Fprintln(&out, obj.(*unstructured.Unstructured).GetName())
		}
		return out.Bytes(), nil
	case "labels":
		selector, err := labels.Parse(q.Template)
		if err != nil {
			return nil, err
		}
		var set labels.Set
		if err := json.Unmarshal(q.Object, &set); err != nil {
			return nil, err
		}
		return fmt.Append(nil, selector.Matches(set)), nil
	case "fields":
		selector, err := fields.ParseSelector(q.Template)
		if err != nil {
			return nil, err
		}
		var set fields.Set
		if err := json.Unmarshal(q.Object, &set); err != nil {
			return nil, err
		}
		return fmt.Append(nil, selector.Matches(set)), nil
	}
	return nil, fmt.Errorf("no such question: %q", q.What)
}

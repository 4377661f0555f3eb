// kube-objects writes an object of every kind that the Kubernetes of its go.mod has: as an API server stores it, and
// what Go prints of it. Each object is filled at random, with the same seed each time.
//
//	kube-objects >synthetic-VERSION.ndjson
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"
)

type line struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Value      []byte          `json:"value"`
	JSON       json.RawMessage `json:"json"`
}

func main() {
	known := scheme.Scheme.AllKnownTypes()
	var kinds []schema.GroupVersionKind
	for gvk, of := range known {
		_, isObject := of.FieldByName("ObjectMeta")
		// What scales is a view of other objects, and never stored.
		stored := gvk.Version != runtime.APIVersionInternal && !strings.HasSuffix(gvk.Kind, "List") && gvk.Kind != "Scale"
		if isObject && stored {
			kinds = append(kinds, gvk)
		}
	}
	sort.Slice(kinds, func(a, b int) bool { return kinds[a].String() < kinds[b].String() })
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	for _, gvk := range kinds {
		seed := fnv.New64()
		seed.Write([]byte(gvk.String()))
		value := reflect.New(known[gvk])
		fuzz := fuzz{rand.New(rand.NewSource(int64(seed.Sum64())))}
		fuzz.fill(value.Elem(), 0)
		must(encoder.Encode(made(gvk, value.Interface().(runtime.Object))))
	}
	must(out.Flush())
}

func made(gvk schema.GroupVersionKind, object runtime.Object) line {
	object.GetObjectKind().SetGroupVersionKind(gvk)
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	var stored bytes.Buffer
	must(serializer.Encode(object, &stored))
	decoded, _, err := serializer.Decode(stored.Bytes(), nil, nil)
	must(err)
	decoded.GetObjectKind().SetGroupVersionKind(gvk)
	text, err := json.Marshal(decoded)
	must(err)
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	return line{apiVersion, kind, stored.Bytes(), text}
}

type fuzz struct{ *rand.Rand }

var texts = []string{"a", "web-1", "10m", "", "x: y", "<é&>", "yes", "0x1F", "several\nlines\n", "192.0.2.1"}

// Deeper than this only what cannot be left out is filled.
const deep = 7

func (f fuzz) fill(v reflect.Value, depth int) {
	if f.special(v) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := 0; i < v.NumField(); i++ {
			// The kind stands around the object, not in it.
			if v.Type().Field(i).PkgPath == "" && v.Type().Field(i).Name != "TypeMeta" {
				f.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Ptr:
		if depth < deep && f.Intn(5) < 3 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes([]byte(f.text()))
		} else if n := f.Intn(3); n > 0 && depth < deep {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := 0; i < n; i++ {
				f.fill(v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		if n := f.Intn(3); n > 0 && depth < deep {
			v.Set(reflect.MakeMap(v.Type()))
			for i := 0; i < n; i++ {
				key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				f.fill(key, depth+1)
				f.fill(value, depth+1)
				v.SetMapIndex(key, value)
			}
		}
	case reflect.String:
		v.SetString(f.text())
	case reflect.Bool:
		v.SetBool(f.Intn(2) == 0)
	case reflect.Int32:
		v.SetInt(int64(int32(f.Uint32()) >> uint(f.Intn(32))))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.Uint64()) >> uint(f.Intn(64)))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.Uint32() >> uint(f.Intn(32))))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(f.NormFloat64())
	case reflect.Interface:
	default:
		panic(fmt.Sprint("a ", v.Type()))
	}
}

func (f fuzz) text() string { return texts[f.Intn(len(texts))] }

// Types whose fields may not be anything.
func (f fuzz) special(v reflect.Value) bool {
	at := time.Unix(int64(f.Intn(4)*600_000_000), int64(f.Intn(1_000_000))*1000).UTC()
	switch of := v.Addr().Interface().(type) {
	case *metav1.Time:
		if f.Intn(4) > 0 {
			of.Time = at.Truncate(time.Second)
		}
	case *metav1.MicroTime:
		if f.Intn(4) > 0 {
			of.Time = at
		}
	case *metav1.Duration:
		of.Duration = time.Duration(f.Int63()) >> uint(f.Intn(63))
	case *resource.Quantity:
		*of = resource.MustParse([]string{"0", "1", "250m", "1.5Gi", "1e3", "-3"}[f.Intn(6)])
	case *runtime.RawExtension:
		if f.Intn(3) > 0 {
			of.Raw = []byte([]string{`{"b":1,"a":[1.5,"x",null]}`, `{}`}[f.Intn(2)])
		}
	case *metav1.FieldsV1:
		of.Raw = []byte([]string{`{"f:metadata":{"f:labels":{".":{}}}}`, `{}`}[f.Intn(2)])
	case *intstr.IntOrString:
		*of = []intstr.IntOrString{intstr.FromInt(f.Intn(100)), intstr.FromString("50%")}[f.Intn(2)]
	default:
		return false
	}
	return true
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "kube-objects:", err)
		os.Exit(1)
	}
}

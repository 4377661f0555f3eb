package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A package: its types, what it registers as kinds, and which names in its files are which packages.
type source struct {
	path    string
	types   map[string]*ast.TypeSpec
	cluster map[string]bool
	// Lists and maps with a name that tell nil from empty: always messages of their own in protobuf.
	nullable map[string]bool
	imports  map[*ast.TypeSpec]map[string]string
	kinds    [][2]string
}

// The packages of one release that stored objects may be of.
type release struct {
	minor    string
	packages map[string]*source
	out      map[string]*message
}

// Types whose JSON is not that of their fields, with the fields that they have in protobuf.
var special = map[string]*message{
	"meta/v1.Time":                                       {special: "time", fields: timestamp},
	"meta/v1.MicroTime":                                  {special: "microtime", fields: timestamp},
	"meta/v1.Timestamp":                                  {special: "time", fields: timestamp},
	"meta/v1.Duration":                                   {special: "duration", fields: []field{{number: 1, name: "duration", kind: "int64"}}},
	"api/resource.Quantity":                              {special: "quantity", fields: []field{{number: 1, name: "string", kind: "string"}}},
	"runtime.RawExtension":                               {special: "raw", fields: raw},
	"meta/v1.FieldsV1":                                   {special: "raw", fields: raw},
	"apiextensions/v1.JSON":                              {special: "raw", fields: raw},
	"apiextensions/v1beta1.JSON":                         {special: "raw", fields: raw},
	"util/intstr.IntOrString":                            {special: "intorstring", fields: intOrString},
	"apiextensions/v1.JSONSchemaPropsOrArray":            orArray("apiextensions/v1"),
	"apiextensions/v1.JSONSchemaPropsOrBool":             orBool("apiextensions/v1"),
	"apiextensions/v1.JSONSchemaPropsOrStringArray":      orStrings("apiextensions/v1"),
	"apiextensions/v1beta1.JSONSchemaPropsOrArray":       orArray("apiextensions/v1beta1"),
	"apiextensions/v1beta1.JSONSchemaPropsOrBool":        orBool("apiextensions/v1beta1"),
	"apiextensions/v1beta1.JSONSchemaPropsOrStringArray": orStrings("apiextensions/v1beta1"),
}

var (
	timestamp   = []field{{number: 1, name: "seconds", kind: "int64"}, {number: 2, name: "nanos", kind: "int32"}}
	raw         = []field{{number: 1, name: "raw", kind: "bytes"}}
	intOrString = []field{
		{number: 1, name: "type", kind: "int64"}, {number: 2, name: "intVal", kind: "int32"}, {number: 3, name: "strVal", kind: "string"},
	}
)

func orArray(pkg string) *message {
	props := pkg + ".JSONSchemaProps"
	return &message{special: "either", fields: []field{
		{number: 2, name: "list", kind: "[]" + props}, {number: 1, name: "one", kind: props, pointer: true},
	}}
}

func orBool(pkg string) *message {
	return &message{special: "either", fields: []field{
		{number: 2, name: "one", kind: pkg + ".JSONSchemaProps", pointer: true}, {number: 1, name: "bool", kind: "bool"},
	}}
}

func orStrings(pkg string) *message {
	return &message{special: "either", fields: []field{
		{number: 2, name: "list", kind: "[]string"}, {number: 1, name: "one", kind: pkg + ".JSONSchemaProps", pointer: true},
	}}
}

func read(modules []module) *release {
	r := &release{minor: modules[0].minor, packages: map[string]*source{}, out: map[string]*message{}}
	for _, m := range modules {
		for _, dir := range m.packages() {
			importPath := path.Join(m.path, filepath.ToSlash(strings.TrimPrefix(dir, m.dir)))
			r.packages[importPath] = parse(importPath, dir)
		}
	}
	for _, importPath := range sorted(r.packages) {
		for _, kind := range r.packages[importPath].kinds {
			r.walk(importPath, kind[1])
		}
	}
	return r
}

// The directories of the module that have types of the API.
func (m *module) packages() []string {
	var dirs []string
	filepath.WalkDir(m.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			die("%v", err)
		}
		if !entry.IsDir() {
			return nil
		}
		if base := entry.Name(); base == "testdata" || base == "vendor" || base == "applyconfiguration" {
			return fs.SkipDir
		}
		machinery := map[string]bool{
			"/pkg/apis/meta/v1": true, "/pkg/api/resource": true, "/pkg/runtime": true, "/pkg/util/intstr": true, "/pkg/types": true,
		}
		inner := filepath.ToSlash(strings.TrimPrefix(name, m.dir))
		_, err = os.Stat(filepath.Join(name, "generated.pb.go"))
		switch {
		case m.path == "k8s.io/apimachinery" && !machinery[inner]:
		case m.path == "k8s.io/apiextensions-apiserver" && !strings.HasPrefix(inner, "/pkg/apis/"):
		case m.path == "k8s.io/kube-aggregator" && !strings.HasPrefix(inner, "/pkg/apis/"):
		case err != nil && inner != "/pkg/types":
		default:
			dirs = append(dirs, name)
		}
		return nil
	})
	return dirs
}

func parse(importPath, dir string) *source {
	s := &source{path: importPath, types: map[string]*ast.TypeSpec{}, cluster: map[string]bool{}, nullable: map[string]bool{}, imports: map[*ast.TypeSpec]map[string]string{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		die("%v", err)
	}
	strs, versions := map[string]string{}, map[string]*ast.CompositeLit{}
	var parsed []*ast.File
	for _, name := range files {
		base := filepath.Base(name)
		if strings.HasSuffix(base, "_test.go") || strings.HasPrefix(base, "generated.") || strings.HasPrefix(base, "zz_") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			die("%v", err)
		}
		parsed = append(parsed, file)
		s.declarations(file, strs, versions)
	}
	for _, file := range parsed {
		s.registered(file, strs, versions)
	}
	return s
}

// Notes the types, the constants that are strings, and the variables that are a group and version.
func (s *source) declarations(file *ast.File, strs map[string]string, versions map[string]*ast.CompositeLit) {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		importPath, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(importPath)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = importPath
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				s.types[spec.Name.Name] = spec
				s.imports[spec] = imports
				// The marks stand in the comment, or in one above it with an empty line between them.
				for _, group := range file.Comments {
					if group.End() < gen.Pos() && gen.Pos()-group.End() < 3 || group == gen.Doc {
						s.marks(spec.Name.Name, group)
						for _, above := range file.Comments {
							if above.End() < group.Pos() && group.Pos()-above.End() < 3 {
								s.marks(spec.Name.Name, above)
							}
						}
					}
				}
			case *ast.ValueSpec:
				for i, name := range spec.Names {
					if i >= len(spec.Values) {
						continue
					}
					switch value := spec.Values[i].(type) {
					case *ast.BasicLit:
						if text, err := strconv.Unquote(value.Value); err == nil {
							strs[name.Name] = text
						}
					case *ast.CompositeLit:
						versions[name.Name] = value
					}
				}
			}
		}
	}
}

func (s *source) marks(name string, group *ast.CommentGroup) {
	for _, line := range group.List {
		if strings.Contains(line.Text, "+genclient:nonNamespaced") {
			s.cluster[name] = true
		}
		if strings.Contains(line.Text, "+protobuf.nullable=true") {
			s.nullable[name] = true
		}
	}
}

// Notes what is given to AddKnownTypes or AddUnversionedTypes, in the call or in a list that is made before it.
func (s *source) registered(file *ast.File, strs map[string]string, versions map[string]*ast.CompositeLit) {
	for _, decl := range file.Decls {
		function, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lists := map[string][]ast.Expr{}
		ast.Inspect(function, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.AssignStmt:
				if list, ok := node.Rhs[0].(*ast.CompositeLit); ok {
					if name, ok := node.Lhs[0].(*ast.Ident); ok {
						lists[name.Name] = list.Elts
					}
				}
			case *ast.CallExpr:
				called, ok := node.Fun.(*ast.SelectorExpr)
				if !ok || !strings.HasPrefix(called.Sel.Name, "Add") || !strings.HasSuffix(called.Sel.Name, "Types") || len(node.Args) < 2 {
					return true
				}
				apiVersion, ok := groupVersion(node.Args[0], strs, versions)
				if !ok {
					return true
				}
				args := node.Args[1:]
				if name, ok := args[0].(*ast.Ident); ok {
					args = lists[name.Name]
				}
				for _, arg := range args {
					if unary, ok := arg.(*ast.UnaryExpr); ok {
						if name, ok := unary.X.(*ast.CompositeLit).Type.(*ast.Ident); ok {
							s.kinds = append(s.kinds, [2]string{apiVersion, name.Name})
						}
					}
				}
			}
			return true
		})
	}
}

// `apps/v1`, of a variable that is schema.GroupVersion{Group: ..., Version: ...}.
func groupVersion(of ast.Expr, strs map[string]string, versions map[string]*ast.CompositeLit) (string, bool) {
	name, ok := of.(*ast.Ident)
	if !ok || versions[name.Name] == nil {
		return "", false
	}
	var parts [2]string
	for _, element := range versions[name.Name].Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return "", false
		}
		text := ""
		switch value := pair.Value.(type) {
		case *ast.BasicLit:
			text, _ = strconv.Unquote(value.Value)
		case *ast.Ident:
			text = strs[value.Name]
		}
		switch pair.Key.(*ast.Ident).Name {
		case "Group":
			parts[0] = text
		case "Version":
			parts[1] = text
		}
	}
	// Those of the internal types are not stored.
	if parts[1] == "" || parts[1] == "__internal" {
		return "", false
	}
	return strings.TrimPrefix(parts[0]+"/"+parts[1], "/"), true
}

// Notes a message and all that it is made of.
func (r *release) walk(importPath, name string) {
	full := short(importPath) + "." + name
	if r.out[full] != nil {
		return
	}
	if m := special[full]; m != nil {
		r.out[full] = m
		for _, f := range m.fields {
			if inner := strings.TrimPrefix(f.kind, "[]"); strings.HasSuffix(inner, ".JSONSchemaProps") {
				r.walk(importPath, "JSONSchemaProps")
			}
		}
		return
	}
	s := r.packages[importPath]
	if s == nil || s.types[name] == nil {
		die("%s is not there", full)
	}
	spec := s.types[name]
	m := &message{}
	r.out[full] = m
	switch t := spec.Type.(type) {
	case *ast.StructType:
		for _, f := range t.Fields.List {
			r.field(s, spec, m, f)
		}
	case *ast.ArrayType, *ast.MapType:
		// A list with a name, which is a message of its own in protobuf.
		kind, _ := r.kind(s, spec, t)
		m.special, m.fields, m.nullable = "list", []field{{number: 1, name: "items", kind: kind}}, s.nullable[name]
	case *ast.SelectorExpr:
		// Another name for the same type: its fields, or what it is.
		inner := s.imports[spec][t.X.(*ast.Ident).Name]
		r.walk(inner, t.Sel.Name)
		*m = *r.out[short(inner)+"."+t.Sel.Name]
	case *ast.Ident:
		r.walk(importPath, t.Name)
		*m = *r.out[short(importPath)+"."+t.Name]
	default:
		die("%s is a %T", full, t)
	}
}

func (r *release) field(s *source, spec *ast.TypeSpec, m *message, f *ast.Field) {
	if f.Tag == nil {
		return
	}
	text, _ := strconv.Unquote(f.Tag.Value)
	tag := reflect.StructTag(text)
	proto := strings.Split(tag.Get("protobuf"), ",")
	if len(proto) < 2 {
		return
	}
	number, err := strconv.Atoi(proto[1])
	if err != nil {
		die("%s.%s: %s", short(s.path), spec.Name.Name, text)
	}
	options := strings.Split(tag.Get("json"), ",")
	out := field{number: number, name: options[0]}
	for _, option := range options[1:] {
		switch option {
		case "omitempty":
			out.omitEmpty = true
		case "omitzero":
			out.omitZero = r.minor
		case "inline":
		default:
			die("%s.%s: option %q", short(s.path), spec.Name.Name, option)
		}
	}
	expr := f.Type
	if star, ok := expr.(*ast.StarExpr); ok {
		out.pointer, expr = true, star.X
	}
	out.kind, _ = r.kind(s, spec, expr)
	// A list with a name is a message of its own, unless it does not tell nil from empty and the field is one that repeats.
	if m := r.out[out.kind]; m != nil && m.nullable {
		out.pointer = true
	} else if m != nil && m.special == "list" && slices.Contains(proto, "rep") {
		out.kind = m.fields[0].kind
	}
	switch {
	case len(f.Names) == 0 && out.name == "":
		out.inline = true
	case out.name == "":
		out.name = f.Names[0].Name
	}
	m.fields = append(m.fields, out)
}

// The type of a field as the table has it, and whether it is a message.
func (r *release) kind(s *source, spec *ast.TypeSpec, expr ast.Expr) (string, bool) {
	switch t := expr.(type) {
	case *ast.ArrayType:
		if inner, ok := t.Elt.(*ast.Ident); ok && inner.Name == "byte" {
			return "bytes", false
		}
		inner, message := r.kind(s, spec, t.Elt)
		return "[]" + inner, message
	case *ast.MapType:
		if key, _ := r.kind(s, spec, t.Key); key != "string" {
			die("%s.%s: a map by %s", short(s.path), spec.Name.Name, key)
		}
		inner, message := r.kind(s, spec, t.Value)
		return "{}" + inner, message
	case *ast.StarExpr:
		return r.kind(s, spec, t.X)
	case *ast.SelectorExpr:
		return r.named(s.imports[spec][t.X.(*ast.Ident).Name], t.Sel.Name)
	case *ast.Ident:
		switch t.Name {
		case "string", "bool", "int32", "int64", "uint32", "uint64":
			return t.Name, false
		case "float64":
			return "double", false
		case "float32":
			return "float", false
		case "int":
			return "int64", false
		}
		return r.named(s.path, t.Name)
	}
	die("%s.%s: a %T", short(s.path), spec.Name.Name, expr)
	return "", false
}

// The kind of a type with a name: what it is made of, if that is no message.
func (r *release) named(importPath, name string) (string, bool) {
	if importPath == "time" && name == "Duration" {
		return "int64", false
	}
	full := short(importPath) + "." + name
	if special[full] == nil {
		s := r.packages[importPath]
		if s == nil || s.types[name] == nil {
			die("%s is not there", full)
		}
		spec := s.types[name]
		switch t := spec.Type.(type) {
		case *ast.MapType:
			if !s.nullable[name] {
				return r.kind(s, spec, t)
			}
		case *ast.ArrayType:
			if inner, ok := t.Elt.(*ast.Ident); ok && inner.Name == "byte" {
				return "bytes", false
			}
		case *ast.Ident:
			if inner, ok := s.types[t.Name]; !ok || inner == nil {
				return r.kind(s, spec, t)
			}
			// A name for a name: of a string it is one, of a struct a message of its own.
			if kind, message := r.named(importPath, t.Name); !message {
				return kind, false
			}
		case *ast.SelectorExpr:
			if kind, message := r.named(s.imports[spec][t.X.(*ast.Ident).Name], t.Sel.Name); !message {
				return kind, false
			}
		}
	}
	r.walk(importPath, name)
	return full, true
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

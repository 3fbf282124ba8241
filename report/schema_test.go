package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const schemaFile = "../docs/summary.schema.json"

// schemaEnums are the string types of which all values are known.
func schemaEnums() map[string][]string {
	return map[string][]string{
		"Verdict":     {"passed", "failed", "broken", "invalid", "none"},
		"HealthState": {"valid", "doubtful", "invalid"},
		"Outcome":     {"pass", "fail", "not judged"},
		"Status":      {"complete", "partial", "aborted"},
	}
}

// schemaMaker makes a JSON schema (draft-07) of Go types as encoding/json writes them.
type schemaMaker struct {
	definitions map[string]any
	docs        map[string]string // by "Type" and "Type.Field"
}

func (m *schemaMaker) of(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{m.of(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": m.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": m.of(t.Elem())}
	case reflect.Struct:
		if _, made := m.definitions[t.Name()]; !made {
			m.definitions[t.Name()] = nil // so that a type that holds itself ends
			m.definitions[t.Name()] = m.object(t)
		}
		return map[string]any{"$ref": "#/definitions/" + t.Name()}
	case reflect.String:
		if values, ok := schemaEnums()[t.Name()]; ok {
			return map[string]any{"type": "string", "enum": values}
		}
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	case reflect.Int, reflect.Int64:
		return map[string]any{"type": "integer"}
	}
	panic("no schema for " + t.String())
}

func (m *schemaMaker) object(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required := []string{}
	m.fields(t, properties, &required)
	slices.Sort(required)
	object := map[string]any{"type": "object", "properties": properties, "required": required}
	if doc := m.docs[t.Name()]; doc != "" {
		object["description"] = doc
	}
	return object
}

func (m *schemaMaker) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			m.fields(f.Type, properties, required)
			continue
		}
		if name == "-" || !f.IsExported() {
			continue
		}
		schema := m.of(f.Type)
		if t == reflect.TypeFor[Latency]() && strings.HasSuffix(name, "_ns") { // null where nothing was measured: see MarshalJSON
			schema = map[string]any{"type": []string{"integer", "null"}}
		}
		if doc := m.docs[t.Name()+"."+f.Name]; doc != "" {
			if ref, ok := schema["$ref"]; ok { // draft-07 reads nothing beside a $ref
				schema = map[string]any{"allOf": []any{map[string]any{"$ref": ref}}}
			}
			schema["description"] = doc
		}
		properties[name] = schema
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

// readDocs reads the doc comments of the types and their fields.
func readDocs(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, decl := range tree.Decls {
				if d, ok := decl.(*ast.GenDecl); ok {
					docsOf(d, docs)
				}
			}
		}
	}
	return docs
}

func docsOf(decl *ast.GenDecl, docs map[string]string) {
	line := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if text := strings.Join(strings.Fields(g.Text()), " "); text != "" {
				return text
			}
		}
		return ""
	}
	for _, spec := range decl.Specs {
		typ, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		docs[typ.Name.Name] = line(typ.Doc, decl.Doc)
		if object, ok := typ.Type.(*ast.StructType); ok {
			for _, field := range object.Fields.List {
				for _, name := range field.Names {
					docs[typ.Name.Name+"."+name.Name] = line(field.Doc, field.Comment)
				}
			}
		}
	}
}

// The published schema is that of the types that are written.
func TestSummarySchema(t *testing.T) {
	t.Parallel()
	m := &schemaMaker{definitions: map[string]any{}, docs: readDocs(t, ".", "../results", "../scenarios")}
	root := m.of(reflect.TypeFor[Summary]())
	schema := map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://github.com/weirbench/weir/docs/summary.schema.json",
		"title": "weir summary.json", "description": "What weir says of one run, schema_version 1. New fields may be added within a version.",
		"definitions": m.definitions, "allOf": []any{root},
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, out.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(published, out.Bytes()) {
		t.Errorf("%s is not that of the types (go test ./report -update writes it)", schemaFile)
	}
}

// checker holds values against a schema, as far as the published one goes, and against what it does not name.
type checker struct {
	definitions map[string]any
	faults      []string
}

func (c *checker) fault(at, format string, args ...any) {
	c.faults = append(c.faults, at+": "+fmt.Sprintf(format, args...))
}

func (c *checker) check(at string, schema map[string]any, v any) {
	if ref, ok := schema["$ref"].(string); ok {
		c.check(at, c.definitions[strings.TrimPrefix(ref, "#/definitions/")].(map[string]any), v)
		return
	}
	if all, ok := schema["allOf"].([]any); ok {
		for _, one := range all {
			c.check(at, one.(map[string]any), v)
		}
	}
	if some, ok := schema["anyOf"].([]any); ok {
		fits := slices.ContainsFunc(some, func(one any) bool {
			sub := checker{definitions: c.definitions}
			sub.check(at, one.(map[string]any), v)
			return len(sub.faults) == 0
		})
		if !fits {
			c.fault(at, "%v fits none of anyOf", v)
		}
	}
	c.checkType(at, schema, v)
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		c.fault(at, "%v is none of %v", v, enum)
	}
	if least, ok := schema["minimum"].(float64); ok && v.(float64) < least {
		c.fault(at, "%v is below %v", v, least)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		for i, item := range v.([]any) {
			c.check(fmt.Sprintf("%s[%d]", at, i), items, item)
		}
	}
	c.checkObject(at, schema, v)
}

func (c *checker) checkType(at string, schema map[string]any, v any) {
	var types []any
	switch t := schema["type"].(type) {
	case string:
		types = []any{t}
	case []any:
		types = t
	default:
		return
	}
	is := map[string]bool{}
	switch v := v.(type) {
	case nil:
		is["null"] = true
	case bool:
		is["boolean"] = true
	case string:
		is["string"] = true
	case float64:
		is["number"], is["integer"] = true, v == math.Trunc(v)
	case []any:
		is["array"] = true
	case map[string]any:
		is["object"] = true
	}
	if !slices.ContainsFunc(types, func(t any) bool { return is[t.(string)] }) {
		c.fault(at, "%v is not of type %v", v, types)
	}
}

func (c *checker) checkObject(at string, schema map[string]any, v any) {
	object, ok := v.(map[string]any)
	if !ok || schema["type"] != "object" {
		return
	}
	properties, _ := schema["properties"].(map[string]any)
	rest, open := schema["additionalProperties"].(map[string]any)
	for name, value := range object {
		switch property, named := properties[name].(map[string]any); {
		case named:
			c.check(at+"."+name, property, value)
		case open:
			c.check(at+"."+name, rest, value)
		default:
			c.fault(at, "the schema does not know %s", name)
		}
	}
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, has := object[name.(string)]; !has {
			c.fault(at, "%s is missing", name)
		}
	}
}

func schemaFaults(t *testing.T, summary []byte) []string {
	t.Helper()
	published, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	var tree any
	if err := json.Unmarshal(published, &schema); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(summary, &tree); err != nil {
		t.Fatal(err)
	}
	c := &checker{definitions: schema["definitions"].(map[string]any)}
	c.check("summary", schema, tree)
	return c.faults
}

func TestGoldenSummariesFitTheSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d golden summaries (%v); want at least 4", len(files), err)
	}
	for _, file := range files {
		summary, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if faults := schemaFaults(t, summary); len(faults) > 0 {
			t.Errorf("%s: %s", file, strings.Join(faults, "\n"))
		}
	}
}

// Runs that are not golden fit as well: the fields that are not always there are.
func TestSummariesFitTheSchema(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fixture){
		"slow": slowDesks, "killed": killed, "erring": erring, "aborted": aborted, "conflated": conflated,
		"publishing": func(f *fixture) { publishing(f.plan, nil) },
		"empty":      func(f *fixture) { killed(f); f.env, f.intervals, f.events = nil, nil, nil },
		"filtered": func(f *fixture) {
			f.plan.Thresholds[0].Filters = map[string]string{"phase": "steady"}
			f.plan.Thresholds[0].Abort = true
			f.plan.Thresholds[0].Value = 1
		},
	} {
		f := passing()
		change(f)
		var out bytes.Buffer
		if err := JSON(&out, f.summarise(t)); err != nil {
			t.Fatal(err)
		}
		if faults := schemaFaults(t, out.Bytes()); len(faults) > 0 {
			t.Errorf("%s: %s", name, strings.Join(faults, "\n"))
		}
	}
}

// The control: what does not fit is found.
func TestSchemaFindsFaults(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile("testdata/passing.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][3]string{
		{`"verdict": "passed"`, `"verdict": "splendid"`, "none of"},
		{`"schema_version": 1`, `"schema_version": "1"`, "not of type"},
		{`"seed": 7`, `"seed": -7`, "below 0"},
		{`"seed": 7`, `"sead": 7`, "does not know sead"},
		{`"seed": 7`, `"sead": 7`, "seed is missing"},
		{`"reasons": [`, `"reasons": [ 1,`, "not of type"},
	} {
		planted := bytes.Replace(golden, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(planted, golden) {
			t.Fatalf("the golden summary has no %s", change[0])
		}
		if faults := strings.Join(schemaFaults(t, planted), "\n"); !strings.Contains(faults, change[2]) {
			t.Errorf("%s instead of %s: got %q; want %q in it", change[1], change[0], faults, change[2])
		}
	}
}

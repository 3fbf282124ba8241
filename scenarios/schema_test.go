package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// The patterns of values that have a unit, as units.go reads them.
const (
	numberPattern   = `[0-9]+(\.[0-9]+)?`
	durationPattern = `^(` + numberPattern + `(ns|us|µs|μs|ms|s|m|h))+$`
	ratePattern     = `^` + numberPattern + ` *[kM]? */ *(ms|s|m|min|h)$`
	sizePattern     = `^` + numberPattern + ` *(B|KB|MB|GB|KiB|MiB|GiB)$`
	sharePattern    = `^` + numberPattern + `%?$`
)

// object of JSON whose keys keep their order.
type ordered []member

type member struct {
	name  string
	value any
}

func (o ordered) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := encoder.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// allShapes lists the mappings of the language, each once, as they come.
func allShapes() []*shape { return shapesOf(scenarioShape) }

// shapesOf lists the mappings that a root leads to, itself first.
func shapesOf(root *shape) []*shape {
	var out []*shape
	var ofKey func(k key)
	ofShape := func(s *shape) {
		if s == nil || slices.Contains(out, s) {
			return
		}
		out = append(out, s)
		for _, k := range s.keys {
			ofKey(k)
		}
		if s.each != nil {
			ofKey(*s.each)
		}
	}
	ofKey = func(k key) {
		ofShape(k.shape)
		if k.item != nil {
			ofKey(*k.item)
		}
		for _, form := range k.or {
			ofKey(form)
		}
	}
	ofShape(root)
	return out
}

// schemaText writes the schema from the language.
func schemaText(t *testing.T) []byte { return schemaOf(t, scenarioShape, "weir scenario") }

// schemaOf writes the schema of what a root describes.
func schemaOf(t *testing.T, of *shape, title string) []byte {
	t.Helper()
	definitions := ordered{{"variable", ordered{
		{"description", "A value with variables of the environment in it."}, {"type", "string"}, {"pattern", `\$\{[A-Za-z_]`}}}}
	for _, s := range shapesOf(of)[1:] {
		definitions = append(definitions, member{s.name, schemaOfShape(t, s)})
	}
	root := append(ordered{
		{"$schema", "http://json-schema.org/draft-07/schema#"},
		{"title", title},
	}, schemaOfShape(t, of)...)
	root = append(root, member{"definitions", definitions})
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func schemaOfShape(t *testing.T, s *shape) ordered {
	t.Helper()
	out := ordered{{"description", s.about}, {"type", "object"}}
	if s.each != nil {
		return append(out, member{"additionalProperties", schemaOfKey(t, *s.each)})
	}
	var properties ordered
	var required []string
	for _, k := range s.keys {
		if k.reserved {
			continue
		}
		properties = append(properties, member{k.name, schemaOfKey(t, k)})
		if k.required {
			required = append(required, k.name)
		}
	}
	out = append(out, member{"additionalProperties", false}, member{"properties", properties})
	if s.choice {
		out = append(out, member{"minProperties", 1}, member{"maxProperties", 1})
	}
	if required != nil {
		out = append(out, member{"required", required})
	}
	return out
}

// schemaOfKey is the schema of a key's value, with its description, default and example.
func schemaOfKey(t *testing.T, k key) ordered {
	t.Helper()
	var out ordered
	if k.about != "" {
		about := k.about
		if k.depends != "" {
			about += " Default: " + k.depends + "."
		}
		out = append(out, member{"description", about})
	}
	if k.fallback != "" {
		out = append(out, member{"default", yamlValue(t, k.fallback)})
	}
	if k.example != "" {
		out = append(out, member{"examples", []any{yamlValue(t, k.example)}})
	}
	forms := formsOf(t, k)
	if len(forms) == 1 {
		return append(out, forms[0]...)
	}
	anyOf := make([]any, len(forms))
	for i, f := range forms {
		anyOf[i] = f
	}
	return append(out, member{"anyOf", anyOf})
}

// formsOf lists the forms that a key's value may have.
func formsOf(t *testing.T, k key) []ordered {
	t.Helper()
	pattern := func(p string) ordered { return ordered{{"type", "string"}, {"pattern", p}} }
	var forms []ordered
	if len(k.words) > 0 {
		forms = append(forms, ordered{{"enum", k.words}})
	}
	switch k.kind {
	case kindText:
		text := ordered{{"type", "string"}}
		if k.form != "" {
			text = append(text, member{"pattern", k.form})
		}
		forms = append(forms, text)
	case kindInt:
		forms = append(forms, ordered{{"type", "integer"}, {"minimum", k.low}, {"maximum", k.high}})
	case kindBool:
		forms = append(forms, ordered{{"type", "boolean"}})
	case kindNumber:
		forms = append(forms, ordered{{"type", "number"}, {"exclusiveMinimum", 0}, {"maximum", k.high}})
	case kindShare:
		forms = append(forms, ordered{{"type", "number"}, {"minimum", 0}, {"maximum", 1}}, pattern(sharePattern))
	case kindDuration:
		forms = append(forms, pattern(durationPattern))
	case kindRate:
		forms = append(forms, pattern(ratePattern))
	case kindSize:
		forms = append(forms, pattern(sizePattern))
	case kindMapping:
		forms = append(forms, ordered{{"$ref", "#/definitions/" + k.shape.name}})
	case kindList:
		array := ordered{{"type", "array"}}
		if !k.empty {
			array = append(array, member{"minItems", 1})
		}
		forms = append(forms, append(array, member{"items", schemaOfKey(t, *k.item)}))
	}
	for _, or := range k.or {
		forms = append(forms, formsOf(t, or)...)
	}
	scalar := k.kind != kindMapping && k.kind != kindList
	if scalar && (k.kind != kindText || k.form != "") {
		forms = append(forms, ordered{{"$ref", "#/definitions/variable"}})
	}
	return slices.CompactFunc(forms, func(a, b ordered) bool { return fmt.Sprint(a) == fmt.Sprint(b) })
}

func yamlValue(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// TestSchema holds schema.json to the language; -update writes it anew.
func TestSchema(t *testing.T) {
	compareGolden(t, "schema.json", string(schemaText(t)))
	if !*update && Schema() != string(schemaText(t)) {
		t.Error("got another schema in the binary; want schema.json")
	}
}

// TestLanguageIsDescribed: each key says what it is, what holds without it, and how it is written; and the example is right.
func TestLanguageIsDescribed(t *testing.T) {
	for _, root := range []*shape{scenarioShape, gatewayFileShape} {
		checkDescribed(t, root)
	}
}

func checkDescribed(t *testing.T, root *shape) {
	t.Helper()
	check := schemaCheckerOf(t, schemaOf(t, root, ""))
	names := map[string]bool{}
	for _, s := range shapesOf(root) {
		if s.about == "" || names[s.name] {
			t.Errorf("%s: got no description, or the name of another; want both", s.name)
		}
		names[s.name] = true
		for _, k := range s.keys {
			where := s.name + "." + k.name
			if k.reserved {
				continue
			}
			if k.about == "" || k.example == "" {
				t.Errorf("%s: got description %q and example %q; want both", where, k.about, k.example)
				continue
			}
			if !k.required && !s.choice && k.fallback == "" && k.depends == "" {
				t.Errorf("%s: got no default; want one, or what it depends on", where)
			}
			for _, text := range []string{k.example, k.fallback} {
				if text == "" {
					continue
				}
				value, schema := check.generic(yamlValue(t, text)), check.generic(schemaOfKey(t, k))
				if problem := check.validate(schema, value, where); problem != "" {
					t.Errorf("%s: got %s refused: %s", where, text, problem)
				}
			}
		}
	}
}

// TestSchemaTakesWhatIsRight: the library and the right scenarios are right to the schema.
func TestSchemaTakesWhatIsRight(t *testing.T) {
	check := newSchemaChecker(t)
	right, err := filepath.Glob("testdata/right/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	library, err := filepath.Glob("*.yaml")
	if err != nil || len(library) == 0 {
		t.Fatalf("got library %v, %v; want files", library, err)
	}
	for _, file := range append(right, library...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if problem := check.text(data); problem != "" {
			t.Errorf("%s: got it refused: %s", file, problem)
		}
		if slices.Contains(library, file) && !strings.HasPrefix(string(data), "# yaml-language-server: $schema=schema.json\n") {
			t.Errorf("%s: got no modeline; want # yaml-language-server: $schema=schema.json first", file)
		}
	}
}

// TestSchemaRefusesWhatIsWrong pins what the schema says of each wrong scenario: what it can't express is accepted.
func TestSchemaRefusesWhatIsWrong(t *testing.T) {
	check := newSchemaChecker(t)
	files, err := filepath.Glob("testdata/wrong/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	refused := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		says := orElse(check.text(data), "accepted")
		if says != "accepted" {
			refused++
		}
		fmt.Fprintf(&b, "%s: %s\n", strings.TrimSuffix(filepath.Base(file), ".yaml"), shorten(says, 160))
	}
	if refused < 40 {
		t.Errorf("got %d of %d refused; want at least 40", refused, len(files))
	}
	compareGolden(t, "testdata/schema-says.golden", b.String())
}

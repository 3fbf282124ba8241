package scenarios

import (
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// schemaChecker validates by JSON Schema draft-07, as far as the schema of the language goes. A keyword that it does not
// know fails the test.
type schemaChecker struct {
	t    *testing.T
	root map[string]any
}

func newSchemaChecker(t *testing.T) schemaChecker { return schemaCheckerOf(t, schemaText(t)) }

func schemaCheckerOf(t *testing.T, schema []byte) schemaChecker {
	t.Helper()
	c := schemaChecker{t: t}
	if err := json.Unmarshal(schema, &c.root); err != nil {
		t.Fatal(err)
	}
	return c
}

// generic is a value as JSON has it.
func (c schemaChecker) generic(v any) any {
	c.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		c.t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		c.t.Fatal(err)
	}
	return out
}

// text validates a YAML text and returns the first problem, or "".
func (c schemaChecker) text(data []byte) (problem string) {
	c.t.Helper()
	defer func() {
		if p := recover(); p != nil {
			problem = "is not YAML"
		}
	}()
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		return "is not YAML"
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return "is not JSON's data"
	}
	if err := json.Unmarshal(encoded, &v); err != nil {
		return "is not JSON's data"
	}
	return c.validate(c.root, v, "scenario")
}

var idleKeywords = []string{"$schema", "title", "description", "default", "examples", "definitions"}

func (c schemaChecker) validate(schema, v any, path string) string {
	s, ok := schema.(map[string]any)
	if !ok {
		c.t.Fatalf("%s: got schema %v; want an object", path, schema)
	}
	words := make([]string, 0, len(s))
	for word := range s {
		words = append(words, word)
	}
	sort.Strings(words)
	for _, word := range words {
		if slices.Contains(idleKeywords, word) {
			continue
		}
		if problem := c.keyword(word, s, v, path); problem != "" {
			return problem
		}
	}
	return ""
}

func (c schemaChecker) keyword(word string, s map[string]any, v any, path string) string {
	arg := s[word]
	object, isObject := v.(map[string]any)
	list, isList := v.([]any)
	text, isText := v.(string)
	number, isNumber := v.(float64)
	wrong := func(bad bool, format string, args ...any) string {
		if !bad {
			return ""
		}
		return path + ": " + fmt.Sprintf(format, args...)
	}
	switch word {
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/definitions/")
		return c.validate(c.root["definitions"].(map[string]any)[name], v, path)
	case "type":
		is := map[string]bool{"object": isObject, "array": isList, "string": isText, "number": isNumber,
			"integer": isNumber && number == float64(int64(number)), "boolean": reflect.TypeOf(v) == reflect.TypeFor[bool]()}
		return wrong(!is[arg.(string)], "is no %s", arg)
	case "enum":
		return wrong(!slices.ContainsFunc(arg.([]any), func(x any) bool { return reflect.DeepEqual(x, v) }), "is none of %v", arg)
	case "pattern":
		return wrong(isText && !regexp.MustCompile(arg.(string)).MatchString(text), "does not match %s", arg)
	case "minimum":
		return wrong(isNumber && number < arg.(float64), "is below %v", arg)
	case "exclusiveMinimum":
		return wrong(isNumber && number <= arg.(float64), "is not above %v", arg)
	case "maximum":
		return wrong(isNumber && number > arg.(float64), "is above %v", arg)
	case "minItems":
		return wrong(isList && float64(len(list)) < arg.(float64), "has fewer than %v items", arg)
	case "minProperties":
		return wrong(isObject && float64(len(object)) < arg.(float64), "has fewer than %v keys", arg)
	case "maxProperties":
		return wrong(isObject && float64(len(object)) > arg.(float64), "has more than %v keys", arg)
	case "anyOf":
		return c.anyOf(arg.([]any), v, path)
	case "items":
		for i, item := range list {
			if problem := c.validate(arg, item, fmt.Sprintf("%s.%d", path, i)); problem != "" {
				return problem
			}
		}
	case "required":
		for _, name := range arg.([]any) {
			if _, ok := object[name.(string)]; isObject && !ok {
				return path + ": has no " + name.(string)
			}
		}
	case "properties", "additionalProperties":
		return c.properties(word, s, object, path)
	default:
		c.t.Fatalf("%s: got keyword %s; want one that is known here", path, word)
	}
	return ""
}

func (c schemaChecker) anyOf(forms []any, v any, path string) string {
	var problems []string
	for _, form := range forms {
		problem := c.validate(form, v, path)
		if problem == "" {
			return ""
		}
		problems = append(problems, problem)
	}
	return slices.MaxFunc(problems, func(a, b string) int { return strings.Count(a, ".") - strings.Count(b, ".") })
}

func (c schemaChecker) properties(word string, s, object map[string]any, path string) string {
	known, _ := s["properties"].(map[string]any)
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		form, ok := known[name]
		switch {
		case word == "properties" && ok:
		case word == "additionalProperties" && !ok && s[word] == false:
			return path + ": has the unknown key " + name
		case word == "additionalProperties" && !ok:
			form = s[word]
		default:
			continue
		}
		if problem := c.validate(form, object[name], path+"."+name); problem != "" {
			return problem
		}
	}
	return ""
}

package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSchemasAreLookedInto: a schema by which no value could be made is refused before anything is started, at the key that
// is to be changed. It was found when the run had begun.
func TestSchemasAreLookedInto(t *testing.T) {
	t.Parallel()
	avro := func(fields string) string {
		return `{"type":"record","name":"Trade","fields":[{"name":"stamp","type":"string"}` + fields + `]}`
	}
	proto := func(fields string) string {
		return "syntax = \"proto3\"; package my; message Trade { string stamp = 1; " + fields + " } message Leg { int32 n = 1; }"
	}
	for _, c := range []struct {
		name, file, text, keys string
		column                 int    // of the value of the key that is at fault; 0: nothing is
		key, want              string // what is said of it
	}{
		{"avro", "t.avsc", avro(""), "stamp_field: stamp", 0, "", ""},
		{"a union", "t.avsc", avro(`,{"name":"s","type":["null","string"]}`), "stamp_field: s", 0, "", ""},
		{"no Avro", "t.avsc", "{", "stamp_field: stamp", 21, "avro", "t.avsc is no Avro schema: "},
		{"an enum", "t.avsc", `{"type":"enum","name":"E","symbols":["A"]}`, "stamp_field: stamp", 21, "avro", "holds a schema of type enum (write a record at the top)"},
		{"a slip", "t.avsc", avro(""), "stamp_field: stmp", 42, "stamp_field", `record Trade has no field "stmp" for stamp_field (did you mean stamp?)`},
		{"a number", "t.avsc", avro(`,{"name":"n","type":"long"}`), "stamp_field: n", 42, "stamp_field", "has a field n that is no string (stamp_field names a string, or a union with one)"},
		{"no pad", "t.avsc", avro(`,{"name":"n","type":"long"}`), "stamp_field: stamp, pad_field: n", 60, "pad_field", "has a field n that is neither a string nor bytes"},
		{"protobuf", "t.proto", proto(""), "stamp_field: stamp, message: my.Trade", 0, "", ""},
		{"no Protobuf", "t.proto", "message {", "stamp_field: stamp", 25, "protobuf", "not a Protobuf schema: "},
		{"an import", "t.proto", `syntax = "proto3"; import "side.proto"; message Trade { string stamp = 1; }`, "stamp_field: stamp", 25, "protobuf", `imports "side.proto" (write all messages into the one file`},
		{"another message", "t.proto", proto(""), "stamp_field: stamp, message: Trades", 63, "message", `has no message "Trades" (did you mean Trade?)`},
		{"not that message's", "t.proto", proto(""), "stamp_field: stamp, message: Leg", 47, "stamp_field", `message Leg has no field "stamp" for stamp_field (there is n)`},
		{"repeated", "t.proto", proto("repeated string r = 2;"), "stamp_field: r", 47, "stamp_field", "that is a repeated string (stamp_field names a string or bytes, not repeated)"},
		{"one oneof", "t.proto", "syntax = \"proto3\"; message T { oneof o { string stamp = 1; string pad = 2; } }", "stamp_field: stamp, pad_field: pad", 65, "pad_field", "in the oneof o, where only one of them can be set (write another pad_field)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			kind := map[string]string{".avsc": "avro", ".proto": "protobuf"}[filepath.Ext(c.file)]
			file := filepath.Join(dir, "s.yaml")
			text := fmt.Sprintf(`version: 1
name: s
kafka: {topics: [{name: t}], registry: {url: "http://127.0.0.1:8081"}}
producers:
  - name: feed
    topic: t
    rate: 1/s
    payload: {%s: %s, %s}
clients: [{name: g, count: 1, subscribe: {topic: t}}]
phases: {measure: [{name: m, duration: 1s}]}
`, kind, c.file, c.keys)
			for name, content := range map[string]string{file: text, filepath.Join(dir, c.file): c.text} {
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Load(file, Options{})
			if err == nil {
				_, err = s.Resolve()
			}
			if c.key == "" {
				if err != nil {
					t.Errorf("got %v; want it taken", err)
				}
				return
			}
			place := fmt.Sprintf("%s:8:%d: producers.feed.payload.%s: ", file, c.column, c.key)
			if err == nil || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v\nwant %s… %s", err, place, c.want)
			}
			if err != nil && strings.Count(err.Error(), file+":") != 1 {
				t.Errorf("got %v; want one problem", err)
			}
		})
	}
}

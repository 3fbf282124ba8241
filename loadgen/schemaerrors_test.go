package loadgen

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// TestSchemaErrors: what no message can be made of names the file, the field and what may have been meant.
func TestSchemaErrors(t *testing.T) {
	record := func(fields string) string { return `{"type":"record","name":"Trade","fields":[` + fields + `]}` }
	message := func(fields string) string { return "syntax = \"proto3\"; package my; message Trade { " + fields + " }" }
	const both = `{"name":"stamp","type":"string"},{"name":"note","type":"bytes"}`
	for _, c := range []struct {
		name, file, text, message, stamp, pad string
		want                                  string
	}{
		{"no JSON", "t.avsc", "{", "", "stamp", "", "t.avsc is no Avro schema: "},
		{"no record", "t.avsc", `"string"`, "", "stamp", "", "t.avsc holds a schema of type string (write a record at the top)"},
		{"no stamp field", "t.avsc", record(both), "", "stmp", "", `t.avsc: record Trade has no field "stmp" for stamp_field (did you mean stamp?)`},
		{"no pad field", "t.avsc", record(both), "", "stamp", "filler", `t.avsc: record Trade has no field "filler" for pad_field (there is stamp, note)`},
		{"no fields", "t.avsc", record(""), "", "stamp", "", `t.avsc: record Trade has no field "stamp" for stamp_field (there is none)`},
		{"a stamp of bytes", "t.avsc", record(both), "", "note", "", "t.avsc: record Trade has a field note that is no string (stamp_field names a string, or a union with one)"},
		{"a stamp that is a uuid", "t.avsc", record(`{"name":"stamp","type":{"type":"string","logicalType":"uuid"}}`), "", "stamp", "", "t.avsc: record Trade has a field stamp that is no string (stamp_field names a string, or a union with one)"},
		{"a uuid beside the type", "t.avsc", record(`{"name":"stamp","type":"string","logicalType":"uuid"}`), "", "stamp", "", "t.avsc: record Trade has a field stamp that is no string (stamp_field names a string, or a union with one)"},
		{"a pad of numbers", "t.avsc", record(`{"name":"n","type":"int"},` + both), "", "stamp", "n", "t.avsc: record Trade has a field n that is neither a string nor bytes (pad_field names one of these, or a union with one)"},
		{"the same field", "t.avsc", record(both), "", "stamp", "stamp", "t.avsc: record Trade can't have both the stamp and the pad in its field stamp (write another pad_field)"},
		{"endless", "t.avsc", record(`{"name":"t","type":"Trade"},` + both), "", "stamp", "", "t.avsc: a message of it would hold itself without end (make the field optional, or a union with null)"},
		{"too large", "t.avsc", record(`{"name":"t","type":{"type":"fixed","name":"F","size":2000000000}},` + both), "", "stamp", "", "t.avsc: a message comes to more than 1024 KiB without its pad (take a smaller one)"},

		{"no schema", "t.proto", "message Trade {", "", "stamp", "", "not a Protobuf schema: t.proto:1:16: syntax error: unexpected $end"},
		{"no message", "t.proto", `syntax = "proto3";`, "", "stamp", "", "t.proto has no message (write one)"},
		{"another message", "t.proto", message("string stamp = 1; message Leg {}"), "Trades", "stamp", "", `t.proto has no message "Trades" (did you mean Trade?)`},
		{"no such message", "t.proto", message("string stamp = 1; message Leg {}"), "x.Y", "stamp", "", `t.proto has no message "x.Y" (there is Trade, Trade.Leg)`},
		{"an import", "t.proto", `syntax = "proto3"; import "other/side.proto";` + " message Trade { string stamp = 1; }", "", "stamp", "", `t.proto imports "other/side.proto" (write all messages into the one file; only google/protobuf/….proto can be imported)`},
		{"no such standard import", "t.proto", `syntax = "proto3"; import "google/protobuf/none.proto";`, "", "stamp", "", `not a Protobuf schema: t.proto:1:27: could not resolve path "google/protobuf/none.proto": file does not exist`},
		{"no stamp field", "t.proto", message("string stamp = 1;"), "", "stmp", "", `t.proto: message Trade has no field "stmp" for stamp_field (did you mean stamp?)`},
		{"a repeated stamp", "t.proto", message("repeated string stamp = 1;"), "", "stamp", "", "t.proto: message Trade has a field stamp that is a repeated string (stamp_field names a string or bytes, not repeated)"},
		{"a stamp of numbers", "t.proto", message("fixed64 stamp = 1;"), "", "stamp", "", "t.proto: message Trade has a field stamp that is of type fixed64 (stamp_field names a string or bytes, not repeated)"},
		{"a pad that is a map", "t.proto", message("string stamp = 1; map<string, string> note = 2;"), "", "stamp", "note", "t.proto: message Trade has a field note that is a map (pad_field names a string or bytes, not repeated)"},
		{"the same field", "t.proto", message("string stamp = 1;"), "", "stamp", "stamp", "t.proto: message Trade can't have both the stamp and the pad in its field stamp (write another pad_field)"},
		{"one oneof", "t.proto", message("oneof which { string stamp = 1; string note = 2; }"), "", "stamp", "note", "t.proto: message Trade has the fields stamp and note in the oneof which, where only one of them can be set (write another pad_field)"},
		{"endless", "t.proto", `syntax = "proto2"; message Trade { required string stamp = 1; required Trade t = 2; }`, "", "stamp", "", "t.proto: a message of it would hold itself without end (make the field optional, or a union with null)"},
	} {
		t.Run(c.file+" "+c.name, func(t *testing.T) {
			p := scenarios.Payload{Kind: scenarios.PayloadAvro, Schema: &scenarios.PayloadSchema{File: c.file, Text: c.text, Message: c.message, StampField: c.stamp, PadField: c.pad}}
			if strings.HasSuffix(c.file, ".proto") {
				p.Kind = scenarios.PayloadProtobuf
			}
			_, err := newValues(payloadPlan(p, fixedSize(500)), 0)
			want := "payload of feed: " + c.want
			if err == nil || err.Error() != want && !(strings.HasSuffix(want, ": ") && strings.HasPrefix(err.Error(), want)) {
				t.Errorf("got %v\nwant %s", err, want)
			}
		})
	}
	if _, err := newValues(payloadPlan(scenarios.Payload{Kind: scenarios.PayloadAvro}, fixedSize(500)), 0); err == nil {
		t.Error("a payload without a schema was taken")
	}
}

// hostileSchemas are texts that ask for more than anybody has.
func hostileSchemas() map[string]string {
	avroTree, protoTree := `"string"`, `syntax = "proto3"; message M0 { string stamp = 1; M1 a = 2; M1 b = 3; }`
	for i := range 60 {
		avroTree = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":%s}]}`, i, avroTree,
			map[bool]string{true: `"string"`, false: fmt.Sprintf(`"R%d"`, i-1)}[i == 0])
		protoTree += fmt.Sprintf("message M%d { M%d a = 1; M%d b = 2; }", i+1, i+2, i+2)
	}
	protoTree += "message M61 { string x = 1; }"
	mutual := `{"type":"record","name":"T","fields":[{"name":"stamp","type":"string"}`
	for i := range 30 {
		mutual += fmt.Sprintf(`,{"name":"f%d","type":["null",{"type":"record","name":"U%d","fields":[{"name":"x","type":["T","int"]},{"name":"t","type":"T"}]}]}`, i, i)
	}
	wide := `syntax = "proto2"; message T { required string stamp = 1;`
	for i := range 2000 {
		wide += fmt.Sprintf("optional T f%d = %d; repeated G%d g%d = %d; ", i, i+2, i, i, i+3000)
	}
	wide += "}"
	for i := range 2000 {
		wide += fmt.Sprintf("message G%d { optional T t = 1; optional G%d n = 2; }", i, (i+1)%2000)
	}
	return map[string]string{
		"avro nested":    strings.Repeat(`{"type":"array","items":`, 10_000) + `"int"` + strings.Repeat("}", 10_000),
		"avro brackets":  strings.Repeat("[", 250_000),
		"avro doubling":  `{"type":"record","name":"T","fields":[{"name":"stamp","type":"string"},{"name":"r","type":` + avroTree + `}]}`,
		"avro mutual":    mutual + "]}",
		"avro fixed":     `{"type":"record","name":"T","fields":[{"name":"stamp","type":"string"},{"name":"r","type":{"type":"fixed","name":"F","size":9223372036854775807}}]}`,
		"proto nested":   `syntax = "proto3";` + strings.Repeat("message A {", 20_000) + strings.Repeat("}", 20_000),
		"proto braces":   strings.Repeat("{", 250_000),
		"proto options":  `syntax = "proto3"; option (a) = ` + strings.Repeat("{a:", 80_000) + strings.Repeat("}", 80_000) + ";",
		"proto doubling": protoTree,
		"proto wide":     wide,
	}
}

// TestHostileSchemas: such a text is refused, or has its message, in bounded time.
func TestHostileSchemas(t *testing.T) {
	t.Parallel()
	for name, text := range hostileSchemas() {
		t.Run(name, func(t *testing.T) {
			done := make(chan error, 1)
			go func() { done <- loadHostile(text, strings.HasPrefix(name, "proto")) }()
			select {
			case err := <-done:
				refused := err != nil
				if want := name != "avro mutual"; refused != want {
					t.Errorf("got %.300v; want it refused: %v", err, want)
				}
			case <-time.After(testkit.Patience):
				t.Fatal("it takes for ever")
			}
		})
	}
}

func loadHostile(text string, isProto bool) error {
	p := scenarios.Payload{Kind: scenarios.PayloadAvro, Schema: &scenarios.PayloadSchema{File: "t", Text: text, StampField: "stamp"}}
	if isProto {
		p.Kind = scenarios.PayloadProtobuf
	}
	_, err := newSchemaValues(&p, draw{1})
	return err
}

// FuzzSchemas: no text of a schema panics, and what is taken makes values with a stamp that is found.
func FuzzSchemas(f *testing.F) {
	for name, text := range hostileSchemas() {
		if len(text) < 20_000 {
			f.Add(text, "stamp", "pad", strings.HasPrefix(name, "proto"))
		}
	}
	for _, file := range []string{"all.avsc", "all.proto", "old.proto"} {
		f.Add(schemaPayload(f, file, "", "").Schema.Text, "stamp", "pad", file != "all.avsc")
	}
	f.Add(`syntax = "proto3"; message T { string stamp = 1; bytes pad = 2; oneof a { T t = 3; } map<int32, T> m = 4; }`, "stamp", "pad", true)
	f.Fuzz(func(t *testing.T, text, stamp, pad string, isProto bool) {
		if len(text) > 64<<10 {
			t.Skip()
		}
		p := scenarios.Payload{Kind: scenarios.PayloadAvro, Schema: &scenarios.PayloadSchema{File: "t", Text: text, StampField: stamp, PadField: pad}}
		if isProto {
			p.Kind = scenarios.PayloadProtobuf
		}
		v, err := newSchemaValues(&p, draw{1})
		if err != nil {
			return
		}
		random := newRandomText(draw{2}, scenarios.Producer{Size: scenarios.Size{Max: 1000}})
		for i := range uint64(4) {
			value, at := v.compose(nil, &content{seq: i, size: 1000}, &random)
			if _, longest := v.furthest(1000); len(value) > longest {
				t.Fatalf("a value has %d bytes; want %d at most", len(value), longest)
			}
			s := Stamp{Kind: KindData}
			s.seal(value, at)
			var found Stamp
			if got, err := found.FindStamp(value, 0); got != at || err != nil {
				t.Fatalf("a scan of %q finds a stamp at %d, %v; want it at %d", value, got, err, at)
			}
		}
	})
}

package loadgen

import (
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/weirbench/weir/scenarios"
)

// drawn is a payload's first message, with the stand-ins in it.
func drawn(t testing.TB, p scenarios.Payload) []byte {
	t.Helper()
	form, err := newMessageForm(&p)
	if err != nil {
		t.Fatal(err)
	}
	message, err := form.encode(newContents(newDraw(5, 0, purposeSchema), 0)(0), stampStandIn, padStandIn)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// TestAvroTypes: every type has a value of it, as the library decodes it, and times are of 2026.
func TestAvroTypes(t *testing.T) {
	got := decodeAvro(t, "all.avsc", drawn(t, schemaPayload(t, "all.avsc", "", "pad")))
	of2026 := func(at any) bool { when, ok := at.(time.Time); return ok && when.UTC().Year() == 2026 }
	side := func(v any) bool { return v == "BUY" || v == "SELL" }
	inner := func(v any) bool { m, ok := v.(map[string]any); return ok && len(m) == 1 && side(m["side"]) }
	for field, right := range map[string]func(v any) bool{
		"nothing": func(v any) bool { return v == nil },
		"yes":     func(v any) bool { _, ok := v.(bool); return ok },
		"int":     func(v any) bool { n, ok := v.(int32); return ok && n >= 0 && n < smallNumber },
		"long":    func(v any) bool { n, ok := v.(int64); return ok && n >= 0 && n < largeNumber },
		"float":   func(v any) bool { n, ok := v.(float32); return ok && n >= 0 && n < smallNumber },
		"double":  func(v any) bool { n, ok := v.(float64); return ok && n >= 0 && n < largeNumber },
		"raw":     func(v any) bool { b, ok := v.([]byte); return ok && len(b) == textLength },
		"stamp":   func(v any) bool { return v == stampStandIn },
		"text":    func(v any) bool { return regexp.MustCompile(`^[a-z0-9]{12}$`).MatchString(fmt.Sprint(v)) },
		"inner":   inner,
		"again":   inner,
		"far":     side,
		"list":    func(v any) bool { l, ok := v.([]any); return ok && len(l) == 1 && inner(l[0]) },
		"table": func(v any) bool {
			m, ok := v.(map[string]any)
			for _, n := range m {
				_, ok = n.(int64)
			}
			return ok && len(m) == 1
		},
		"maybe":  func(v any) bool { _, ok := v.(int32); return ok },
		"pad":    func(v any) bool { return v == padStandIn },
		"hash":   func(v any) bool { return reflect.ValueOf(v).Len() == 20 },
		"next":   func(v any) bool { return v == nil },
		"others": func(v any) bool { l, ok := v.([]any); return ok && len(l) == 0 },
		"at":     of2026,
		"beside": of2026,
		"day":    of2026,
		"clock":  func(v any) bool { d, ok := v.(time.Duration); return ok && d >= 0 && d < 24*time.Hour },
		"id": func(v any) bool {
			return regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(fmt.Sprint(v))
		},
		"price": func(v any) bool { r, ok := v.(*big.Rat); return ok && r.Cmp(big.NewRat(1, 1)) < 0 },
	} {
		v, ok := got[field]
		if !ok || !right(v) {
			t.Errorf("field %s is %T %v", field, v, v)
		}
		delete(got, field)
	}
	if len(got) > 0 {
		t.Errorf("nobody looked at %v", got)
	}
}

// TestAvroForms: schemas that are written in other ways, or that hold themselves, have messages that the library decodes.
func TestAvroForms(t *testing.T) {
	const stamp = `{"name":"stamp","type":"string"}`
	for name, fields := range map[string]string{
		"holds itself in a union's second branch": `{"name":"a","type":["R","int"]}`,
		"holds itself in a map":                   `{"name":"a","type":{"type":"map","values":"R"}}`,
		"holds itself through another":            `{"name":"a","type":["null",{"type":"record","name":"B","fields":[{"name":"r","type":"R"}]}]}`,
		"other namespaces": `{"name":"a","type":{"type":"record","name":"B","namespace":"x.y","fields":[
			{"name":"e","type":{"type":"enum","name":"E","symbols":["S"]}},{"name":"f","type":"E"}]}},{"name":"g","type":"x.y.E"}`,
		"an unknown logical type":  `{"name":"a","type":{"type":"long","logicalType":"time-of-my-life"}}`,
		"a decimal that is fixed":  `{"name":"a","type":{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":4}}`,
		"a duration":               `{"name":"a","type":{"type":"fixed","name":"F","size":12,"logicalType":"duration"}}`,
		"a large decimal":          `{"name":"a","type":{"type":"bytes","logicalType":"big-decimal"}}`,
		"a field called as a type": `{"name":"string","type":"int"},{"name":"R","type":"long"}`,
		"a union of all":           `{"name":"a","type":["null",{"type":"map","values":"string"},{"type":"record","name":"B","fields":[{"name":"c","type":"int"}]},"bytes"]}`,
		"arrays of arrays":         `{"name":"a","type":{"type":"array","items":{"type":"array","items":["null","double"]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"type":"record","name":"R","fields":[` + fields + "," + stamp + "]}"
			p := scenarios.Payload{Kind: scenarios.PayloadAvro, Schema: &scenarios.PayloadSchema{File: "r.avsc", Text: text, StampField: "stamp"}}
			v := valuesOf(t, p, fixedSize(10))
			schema := avro.MustParse(text)
			for i := range uint64(100) {
				value, at := sealed(t, v, content{seq: i})
				var got map[string]any
				rest, err := schema.Decode(value[5:], &got)
				if err != nil || len(rest) > 0 || got["stamp"] != string(value[at:at+StampSize]) {
					t.Fatalf("got %v with %d bytes left, %v", got, len(rest), err)
				}
			}
		})
	}
}

// TestProtobufTypes: every field is set, but what would never end.
func TestProtobufTypes(t *testing.T) {
	for file, message := range map[string]string{"all.proto": "Outer.All", "old.proto": ""} {
		p := schemaPayload(t, file, message, "pad")
		m := decodeProto(t, p, drawn(t, p))
		notSet := map[protoreflect.Name]bool{"itself": true, "third": true, "others": true}
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			d := fields.Get(i)
			// A field without presence that is drawn as its zero is not written.
			if m.Has(d) == notSet[d.Name()] && d.HasPresence() || m.Has(d) == notSet[d.Name()] && (d.IsList() || d.IsMap()) {
				t.Errorf("%s: field %s is set: %v", file, d.FullName(), m.Has(d))
			}
			if d.IsList() && m.Get(d).List().Len() > 1 || d.IsMap() && m.Get(d).Map().Len() > 1 {
				t.Errorf("%s: field %s holds more than one", file, d.FullName())
			}
		}
		if err := proto.CheckInitialized(m.Interface()); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		text := func(name protoreflect.Name) string {
			if d := fields.ByName(name); d.Kind() == protoreflect.BytesKind {
				return string(m.Get(d).Bytes())
			}
			return m.Get(fields.ByName(name)).String()
		}
		if text("stamp") != stampStandIn || text("pad") != padStandIn {
			t.Errorf("%s: got the stamp %q and the pad %q", file, text("stamp"), text("pad"))
		}
	}
	p := schemaPayload(t, "all.proto", "org.example.Outer.All", "")
	m := decodeProto(t, p, drawn(t, p))
	at := m.Get(m.Descriptor().Fields().ByName("at")).Message()
	seconds := at.Get(at.Descriptor().Fields().ByName("seconds")).Int()
	nanos := at.Get(at.Descriptor().Fields().ByName("nanos")).Int()
	if time.Unix(seconds, nanos).UTC().Year() != 2026 || nanos >= 1e9 {
		t.Errorf("got the time %d s %d ns; want one of 2026", seconds, nanos)
	}
}

// TestMessageIndexes: the framing tells which message of the file it is, as the registry's readers look for it.
func TestMessageIndexes(t *testing.T) {
	for message, want := range map[string]string{
		"": "\x00", "First": "\x00", "Outer.All": "\x04\x02\x02", "org.example.Outer.All": "\x04\x02\x02",
	} {
		p := schemaPayload(t, "all.proto", message, "")
		if message == "" || message == "First" {
			p.Schema.StampField = "id"
		}
		v := valuesOf(t, p, fixedSize(10))
		value, _ := sealed(t, v, content{})
		if got := string(value[5 : 5+len(want)]); got != want {
			t.Errorf("message %q: got the indexes %q; want %q", message, got, want)
		}
		if v, ok := value[0], value[0] == 0; !ok {
			t.Errorf("got the magic byte %d", v)
		}
	}
}

// TestMarksInContentsAreDrawnAgain: a value in whose bytes a start mark comes about by chance is drawn again.
func TestMarksInContentsAreDrawnAgain(t *testing.T) {
	form := &markedForm{marked: 3}
	v, _, err := newVariant(form, []byte("h"), newContents(draw{}, 0), false)
	if err != nil || form.asked != 4 || string(v.head) != "hclean" {
		t.Errorf("got %q after %d draws, %v; want the fourth", v.head, form.asked, err)
	}
	form = &markedForm{marked: markAttempts}
	_, _, err = newVariant(form, nil, newContents(draw{}, 0), false)
	if want := "every message has ~W1 in it, with which stamps begin (change the field that makes it)"; err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
	s := &schemaValues{variants: []variant{{head: []byte("\x00\x00\x00\x00\x00")}}}
	if err := s.setID('~'<<16 | 'W'<<8 | '1'); err == nil || !strings.Contains(err.Error(), "the schema's id, 8279857, makes ~W1") {
		t.Errorf("got %v; want the id refused", err)
	}
}

// markedForm has a start mark in its first messages.
type markedForm struct{ marked, asked int }

func (f *markedForm) encode(_ *contents, stamp, _ string) ([]byte, error) {
	if f.asked++; f.asked <= f.marked {
		return []byte("~W1" + stamp), nil
	}
	return []byte("clean" + stamp), nil
}
func (f *markedForm) indexes() []int { return nil }
func (f *markedForm) zigzag() bool   { return false }

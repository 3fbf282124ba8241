package loadgen

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/avro"
	"github.com/twmb/franz-go/pkg/sr"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/weirbench/weir/scenarios"
)

// schemaPayload is a payload by a schema of testdata.
func schemaPayload(t testing.TB, file, message, pad string) scenarios.Payload {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	kind := scenarios.PayloadAvro
	if filepath.Ext(file) == ".proto" {
		kind = scenarios.PayloadProtobuf
	}
	return scenarios.Payload{Kind: kind, Schema: &scenarios.PayloadSchema{
		File: file, Text: string(text), Message: message, StampField: "stamp", PadField: pad,
	}}
}

// sealed is message c's value with its stamp, as it was found again in a frame among other bytes, intact.
func sealed(t testing.TB, v *values, c content) (value []byte, stampAt int) {
	t.Helper()
	value, at := v.compose(nil, &c)
	checkSealed(t, v, value, at)
	return value, at
}

func checkSealed(t testing.TB, v *values, value []byte, at int) {
	t.Helper()
	s := Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: 7}
	s.seal(value, at)
	frame := append(append([]byte("\x00\xff head~"), value...), "W1 tail"...)
	var found Stamp
	got, err := found.FindStamp(frame, 0)
	if got != at+8 || err != nil || found != s {
		t.Fatalf("a scan of %q finds a stamp at %d, %v; want it at %d", frame, got, err, at+8)
	}
	if intact, end := found.ValueIntact(frame, got); !intact || end != len(value)+8 {
		t.Fatalf("%q is not intact, or ends at %d", frame, end)
	}
	if len(value) > v.largest {
		t.Fatalf("the value has %d bytes; want %d at most", len(value), v.largest)
	}
}

// TestSchemaSizes: with a pad a value is exactly as long as its size says from the shortest on, also where the pad's length
// takes a byte more, and can be read by the format's library at each of these sizes; a flipped byte anywhere is found.
func TestSchemaSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, message string
		read          func(t testing.TB, body []byte) (stamp, pad string)
	}{
		{"all.avsc", "", readAvro},
		{"all.proto", "Outer.All", readProto("Outer.All")},
		{"old.proto", "", readProto("")},
	} {
		t.Run(c.file, func(t *testing.T) {
			v := valuesOf(t, schemaPayload(t, c.file, c.message, "pad"), fixedSize(40_000))
			if err := v.schema.setID(0x01020304); err != nil {
				t.Fatal(err)
			}
			shortest := v.schema.variants[0].fixed() + 1
			var sizes []int
			for pad := range 300 {
				sizes = append(sizes, shortest+pad)
			}
			for _, edge := range []int{8191, 16383} {
				for pad := edge - 20; pad < edge+20; pad++ {
					sizes = append(sizes, shortest+pad)
				}
			}
			overlong := 0
			for _, size := range sizes {
				one := &v.schema.variants[0]
				content := content{seq: uint64(size), size: size}
				value, at := v.schema.write(one, nil, &content, &v.random)
				checkSealed(t, v, value, at)
				stamp, pad := c.read(t, bodyOf(t, value, v.schema))
				if len(value) != size || stamp != string(value[at:at+StampSize]) {
					t.Fatalf("the value of %d bytes has %d and the stamp %q", size, len(value), stamp)
				}
				n, width := padFor(size-one.fixed(), v.schema.zigzag)
				if len(pad) != n {
					t.Fatalf("the pad of the value of %d bytes has %d; want %d", size, len(pad), n)
				}
				if width > lengthSize(n, v.schema.zigzag) {
					overlong++
				}
			}
			if overlong != 2 {
				t.Errorf("%d lengths were written longer than needed; want those at the two boundaries", overlong)
			}
			short, at := v.schema.write(&v.schema.variants[0], nil, &content{size: 1}, &v.random)
			checkSealed(t, v, short, at)
			if len(short) != shortest {
				t.Errorf("a value that is to be shorter than it can be has %d bytes; want %d", len(short), shortest)
			}
		})
	}
}

// TestSchemaCorruption: whatever byte of a value outside its stamp is flipped, a client sees that it was changed.
func TestSchemaCorruption(t *testing.T) {
	for _, p := range []scenarios.Payload{schemaPayload(t, "all.avsc", "", "pad"), schemaPayload(t, "all.proto", "Outer.All", "")} {
		v := valuesOf(t, p, fixedSize(700))
		value, at := sealed(t, v, content{seq: 3, size: 700})
		for i := range value {
			if i >= at && i < at+StampSize {
				continue
			}
			changed := bytes.Clone(value)
			changed[i] ^= 0x20
			var s Stamp
			found, err := s.FindStamp(changed[at:], 0)
			if found != 0 || err != nil {
				t.Fatalf("the stamp is not found: %v", err)
			}
			if intact, _ := s.ValueIntact(changed, at); intact {
				t.Fatalf("byte %d was changed and the value is intact", i)
			}
		}
	}
}

// bodyOf is what stands behind the registry's framing, which it checks.
func bodyOf(t testing.TB, value []byte, v *schemaValues) []byte {
	t.Helper()
	id, body, err := new(sr.ConfluentHeader).DecodeID(value)
	if err != nil || id != 0x01020304 {
		t.Fatalf("got the schema's id %#x, %v; want 0x1020304", id, err)
	}
	if v.zigzag {
		return body
	}
	_, body, err = new(sr.ConfluentHeader).DecodeIndex(body, 9)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func decodeAvro(t testing.TB, file string, body []byte) map[string]any {
	t.Helper()
	schema, err := avro.Parse(schemaPayload(t, file, "", "").Schema.Text)
	if err != nil {
		t.Fatal(err)
	}
	var got any
	rest, err := schema.Decode(body, &got)
	if err != nil || len(rest) > 0 {
		t.Fatalf("the library can't read %x: %v, %d bytes left", body, err, len(rest))
	}
	return got.(map[string]any)
}

func readAvro(t testing.TB, body []byte) (stamp, pad string) {
	got := decodeAvro(t, "all.avsc", body)
	return got["stamp"].(string), got["pad"].(string)
}

func decodeProto(t testing.TB, p scenarios.Payload, body []byte) protoreflect.Message {
	t.Helper()
	form, err := newProtobufForm(p.Schema)
	if err != nil {
		t.Fatal(err)
	}
	m := dynamicpb.NewMessage(form.message)
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatalf("the library can't read %x: %v", body, err)
	}
	if len(m.GetUnknown()) > 0 {
		t.Fatalf("%x has fields that the schema has not: %x", body, m.GetUnknown())
	}
	return m
}

func readProto(message string) func(t testing.TB, body []byte) (stamp, pad string) {
	return func(t testing.TB, body []byte) (stamp, pad string) {
		file := "all.proto"
		if message == "" {
			file = "old.proto"
		}
		m := decodeProto(t, schemaPayload(t, file, message, "pad"), body)
		field := func(name protoreflect.Name) string {
			d := m.Descriptor().Fields().ByName(name)
			if d.Kind() == protoreflect.BytesKind {
				return string(m.Get(d).Bytes())
			}
			return m.Get(d).String()
		}
		return field("stamp"), field("pad")
	}
}

// TestSchemaValuesAreArithmetic: a message's value depends on the plan and its number alone, different messages differ, and
// a marker is as short as the payload allows.
func TestSchemaValuesAreArithmetic(t *testing.T) {
	t.Parallel()
	for _, pad := range []string{"", "pad"} {
		for _, p := range []scenarios.Payload{schemaPayload(t, "all.avsc", "", pad), schemaPayload(t, "all.proto", "Outer.All", pad)} {
			v, again := valuesOf(t, p, fixedSize(900)), valuesOf(t, p, fixedSize(900))
			plan := payloadPlan(p, fixedSize(900))
			plan.Seed++
			other, err := newValues(plan, 0)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			differ := 0
			for i := range uint64(500) {
				c := content{seq: i, size: 900}
				value, _ := sealed(t, v, c)
				same, at := again.compose(bytes.Repeat([]byte("~W1"), 400), &c)
				checkSealed(t, again, same, at)
				if !bytes.Equal(value, same) {
					t.Fatalf("message %d is %q, and then %q", i, value, same)
				}
				if pad != "" && len(value) != 900 {
					t.Fatalf("message %d has %d bytes; want 900", i, len(value))
				}
				if with, _ := sealed(t, other, c); !bytes.Equal(with, value) {
					differ++
				}
				seen[string(value)] = true
				marker, at := again.composeMarker(nil, &c)
				checkSealed(t, again, marker, at)
				if len(marker) > len(value) {
					t.Fatalf("a marker has %d bytes and the message %d", len(marker), len(value))
				}
			}
			if len(seen) < schemaVariants/2 || differ != 500 {
				t.Errorf("%s: %d values of 500 are different, and %d are with another seed; want some %d, and all", p.Kind, len(seen), differ, schemaVariants)
			}
		}
	}
}

// TestPadsMakeNoMark: a pad's length may end with the beginning of a start mark (126 is "~"), and what is drawn for the pad
// may begin with the rest of it: a client would then find that mark first, and no stamp behind it.
func TestPadsMakeNoMark(t *testing.T) {
	t.Parallel()
	v := valuesOf(t, schemaPayload(t, "all.proto", "Outer.All", "pad"), fixedSize(5000))
	v.random.starts = 1
	for _, start := range []string{"W1", "1x"} {
		copy(v.random.block, bytes.Repeat([]byte(start), len(v.random.block)/len(start)))
		for i := range v.schema.variants {
			one := &v.schema.variants[i]
			for pad := range 200 {
				c := content{size: one.fixed() + 1 + pad}
				value, at := v.schema.write(one, nil, &c, &v.random)
				checkSealed(t, v, value, at)
				if bytes.Count(value, startMarkBytes) != 1 {
					t.Fatalf("%q has more than one start mark", value)
				}
			}
		}
	}
}

// TestSchemaAllocations guards the pacing path.
func TestSchemaAllocations(t *testing.T) {
	for _, p := range []scenarios.Payload{schemaPayload(t, "all.avsc", "", "pad"), schemaPayload(t, "all.proto", "Outer.All", "")} {
		v := valuesOf(t, p, fixedSize(900))
		buf := make([]byte, 0, v.largest)
		i := uint64(0)
		if got := testing.AllocsPerRun(500, func() {
			value, at := v.compose(buf, &content{seq: i, size: 900})
			s := Stamp{Kind: KindData}
			s.seal(value, at)
			i++
		}); got != 0 {
			t.Errorf("%s: got %v allocations a message; want 0", p.Kind, got)
		}
	}
}

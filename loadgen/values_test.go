package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/weirbench/weir/scenarios"
)

// payloadPlan is a plan of one producer called feed with the payload, and of a publishing group with the same.
func payloadPlan(payload scenarios.Payload, size scenarios.Size) *scenarios.Plan {
	return &scenarios.Plan{
		Seed:      5,
		Producers: []scenarios.Producer{{Name: "feed", Payload: payload, Size: size, Keys: scenarios.Keys{Kind: scenarios.KeysUniform, Count: 100}}},
		Clients:   []scenarios.ClientGroup{{Name: "g", Count: 3, Publish: &scenarios.Publish{Name: "posts", Payload: payload, Size: size, Keys: 3}}},
	}
}

func valuesOf(t testing.TB, payload scenarios.Payload, size scenarios.Size) *values {
	t.Helper()
	v, err := newValues(payloadPlan(payload, size), 0)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// composed is a message's value with <stamp> for the stamp.
func composed(t testing.TB, v *values, c content) string {
	t.Helper()
	value, at := v.compose(nil, &c)
	s := Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: c.seq & maxSeq}
	s.seal(value, at)
	var found Stamp
	if got, err := found.FindStamp(value, 0); got != at || err != nil || found != s {
		t.Fatalf("a scan of %q finds a stamp at %d, %v; want it at %d", value, got, err, at)
	}
	if intact, end := found.ValueIntact(value, at); !intact || end != len(value) {
		t.Fatalf("%q is not intact, or ends at %d", value, end)
	}
	if len(value) > v.largest || len(value) < StampSize {
		t.Fatalf("%q has %d bytes; want %d to %d", value, len(value), StampSize, v.largest)
	}
	return string(value[:at]) + "<stamp>" + string(value[at+StampSize:])
}

func fixedSize(n int) scenarios.Size {
	return scenarios.Size{Kind: scenarios.SizeFixed, Min: n, Max: n}
}

func TestTemplates(t *testing.T) {
	message := content{seq: 17, size: 120, key: []byte("k3"), due: 1234567 * time.Microsecond}
	v := valuesOf(t, scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: "{pad}{stamp}"}, fixedSize(120))
	pad := strings.TrimSuffix(composed(t, v, message), "<stamp>")
	if len(pad) != 40 {
		t.Fatalf("got %q in front of the stamp; want 40 characters", pad)
	}
	for _, c := range []struct{ template, want string }{
		{"{stamp}", "<stamp>"},
		{`{"id":"{stamp}","n":{seq},"by":"{producer}","k":"{key}","t":{due_ms}}`, `{"id":"<stamp>","n":17,"by":"feed","k":"k3","t":1234}`},
		{"{seq}{seq}{key}{stamp}", "1717k3<stamp>"},
		{"{{stamp}{other}{", "{<stamp>{other}{"},
		{"~{stamp}W1~", "~<stamp>W1~"},
		{"{stamp}{pad}", "<stamp>" + pad},
		{"ab{seq}{pad}{stamp}{key}", "ab17" + pad[:34] + "<stamp>k3"},
		{strings.Repeat("long", 100) + "{pad}{stamp}", strings.Repeat("long", 100) + "<stamp>"},
	} {
		t.Run(c.template[:min(len(c.template), 30)], func(t *testing.T) {
			v := valuesOf(t, scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: c.template}, fixedSize(120))
			if got := composed(t, v, message); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
			longest := content{seq: math.MaxUint64, size: 120, key: []byte("k99"), due: math.MinInt64}
			composed(t, v, longest) // within the largest size
		})
	}
}

func TestLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "orders.jsonl")
	text := "plain\n" + `{"a":1}` + "\r\n\n" + `  { "b": [2] }` + "\n" + `{}` + "\n" + "{ }\n" + `{"a":"{stamp}"}` + "\n{broken\n[1]\nlast é"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	v := valuesOf(t, scenarios.Payload{Kind: scenarios.PayloadLines, File: file}, scenarios.Size{})
	want := []string{
		"<stamp> plain", `{"weir":"<stamp>","a":1}`, `  {"weir":"<stamp>", "b": [2] }`, `{"weir":"<stamp>"}`, `{"weir":"<stamp>" }`,
		`{"a":"<stamp>"}`, "<stamp> {broken", "<stamp> [1]", "<stamp> last é",
	}
	for i := range 2 * len(want) {
		got := composed(t, v, content{seq: uint64(i), size: 5000})
		if want := want[i%len(want)]; got != want {
			t.Errorf("message %d: got %q; want %q", i, got, want)
		}
		if fields := strings.HasPrefix(strings.TrimSpace(got), `{"`); fields && !json.Valid([]byte(got)) {
			t.Errorf("message %d: %s is no JSON", i, got)
		}
	}
}

// TestPayloadErrors: what no value can be made of is said at the start, with the mend.
func TestPayloadErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	template := func(text string) scenarios.Payload {
		return scenarios.Payload{Kind: scenarios.PayloadTemplate, Template: text}
	}
	lines := func(file string) scenarios.Payload {
		return scenarios.Payload{Kind: scenarios.PayloadLines, File: file}
	}
	for _, c := range []struct {
		name    string
		payload scenarios.Payload
		size    int
		want    string
	}{
		{"no stamp", template("{seq}"), 100, "payload of feed: the template has {stamp} 0 times (write it once)"},
		{"two stamps", template("{stamp}{stamp}"), 200, "payload of feed: the template has {stamp} 2 times (write it once)"},
		{"two pads", template("{pad}{stamp}{pad}"), 200, "payload of feed: the template has {pad} 2 times (write it once at most)"},
		{"a mark", template("~W1{stamp}"), 200, "payload of feed: the template has ~W1, with which stamps begin (write another text)"},
		{"half a mark", template("~W{seq}{stamp}"), 200,
			`payload of feed: a placeholder stands right behind a "~" or "~W", which could make it the beginning of a stamp (put another character between)`},
		{"a mark around nothing", template("~{pad}W1{stamp}"), 200,
			`payload of feed: a placeholder stands right behind a "~" or "~W", which could make it the beginning of a stamp (put another character between)`},
		{"far back", template("{pad}{stamp}"), maxOffset + StampSize + 1,
			"payload of feed: the stamp may stand 262144 bytes behind the value's beginning, and no more than 262143 can be told (move it forward)"},
		{"far back in a line", lines(write("long", strings.Repeat("x", maxOffset+1)+"{stamp}")), 0,
			"payload of feed: the stamp may stand 262144 bytes behind the value's beginning, and no more than 262143 can be told (move it forward)"},
		{"too large", lines(write("largest", strings.Repeat("x", maxLineFile))), 0,
			"payload of feed: a value may have 16777297 bytes, and no more than 16777215 can be told (make it smaller)"},
		{"large file", lines(write("large", strings.Repeat("x", maxLineFile+1))), 0,
			"payload of feed: " + filepath.Join(dir, "large") + " is larger than 16 MiB (take a part of its lines)"},
		{"no file", lines(filepath.Join(dir, "absent")), 0,
			"payload of feed: there is no file " + filepath.Join(dir, "absent") + " (name a file with a message in each line)"},
		{"a directory", lines(dir), 0, "payload of feed: " + dir + " is not a regular file (name a file with a message in each line)"},
		{"no lines", lines(write("empty", "\n\r\n\n")), 0, "payload of feed: " + filepath.Join(dir, "empty") + " holds no line (write a message in each)"},
		{"a mark in a line", lines(write("marked", "a\n\nb~W1\n")), 0,
			"payload of feed: " + filepath.Join(dir, "marked") + ", line 3 has ~W1, with which stamps begin, so its own would not be found (take it out)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := newValues(payloadPlan(c.payload, fixedSize(c.size)), 0)
			if err == nil || err.Error() != c.want {
				t.Errorf("got %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestValuesAreArithmetic: whatever buffer a value is written over, the same message has the same bytes but for the stamp,
// also when all is computed again; and any sender of the plan, a publishing group too, has values.
func TestValuesAreArithmetic(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("one\n{\"two\":2}\nthree"), 0o600); err != nil {
		t.Fatal(err)
	}
	payloads := []scenarios.Payload{
		{Kind: scenarios.PayloadRandom}, {Kind: scenarios.PayloadRandom, Compressibility: 0.5}, {},
		{Kind: scenarios.PayloadTemplate, Template: `{"s":{seq},"k":"{key}","id":"{stamp}","t":{due_ms},"p":"{pad}"}`},
		{Kind: scenarios.PayloadTemplate, Template: `{key}{stamp}`},
		{Kind: scenarios.PayloadLines, File: file},
	}
	made := map[[2]int][2]*values{} // by payload and sender, since making them is slow
	for i, payload := range payloads {
		plan := payloadPlan(payload, scenarios.Size{Kind: scenarios.SizeUniform, Min: 80, Max: 400})
		for sender := range 2 {
			var both [2]*values
			for j := range both {
				var err error
				if both[j], err = newValues(plan, sender); err != nil {
					t.Fatal(err)
				}
			}
			made[[2]int{i, sender}] = both
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(payloads)-1).Draw(t, "payload")
		payload := payloads[i]
		both := made[[2]int{i, rapid.IntRange(0, 1).Draw(t, "sender")}]
		v, again := both[0], both[1]
		c := content{
			seq: rapid.Uint64().Draw(t, "seq"), size: rapid.IntRange(0, 400).Draw(t, "size"), key: []byte("k7"),
			due: time.Duration(rapid.Int64Range(0, 1e13).Draw(t, "due")),
		}
		buf := bytes.Repeat([]byte("~W1"), rapid.IntRange(0, 200).Draw(t, "buffer"))
		value, at := v.compose(buf, &c)
		other, otherAt := again.compose(nil, &c)
		var s Stamp
		s.seal(value, at)
		s.seal(other, otherAt)
		if !bytes.Equal(value, other) || len(value) > v.largest {
			t.Fatalf("message %d is %q, and then %q; the largest is %d", c.seq, value, other, v.largest)
		}
		if got := bytes.Index(value, startMarkBytes); got != at {
			t.Fatalf("a scan of %q finds a mark at %d; want it at %d", value, got, at)
		}
		marker, _ := v.composeMarker(nil, &c)
		if payload.Kind == scenarios.PayloadRandom && len(marker) != StampSize || len(marker) > len(value) && c.size >= StampSize {
			t.Fatalf("the marker has %d bytes and the message %d", len(marker), len(value))
		}
	})
}

// TestCompressibility: what the producers' own compressors make of many values is about the share that the plan asks for.
// Those that code by frequency can't take less than a quarter, or nothing.
func TestCompressibility(t *testing.T) {
	t.Parallel()
	codecs := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "zstd": kgo.ZstdCompression(), "lz4": kgo.Lz4Compression(), "snappy": kgo.SnappyCompression(),
	}
	for name, codec := range codecs {
		compressor, err := kgo.DefaultCompressor(codec)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []float64{0, 0.25, 0.4, 0.6, 0.8, 0.95} {
			t.Run(fmt.Sprintf("%s %v", name, c), func(t *testing.T) {
				plan := payloadPlan(scenarios.Payload{Kind: scenarios.PayloadRandom, Compressibility: c}, fixedSize(1000+StampSize))
				plan.Producers[0].Compression = name
				v, err := newValues(plan, 0)
				if err != nil {
					t.Fatal(err)
				}
				var batch []byte
				for i := range uint64(500) {
					value, _ := v.compose(nil, &content{seq: i, size: 1000 + StampSize})
					batch = append(batch, value[StampSize:]...)
				}
				for _, b := range batch {
					if b == startMark[0] || digitValue[b] == invalidDigit {
						t.Fatalf("%q is not safe in URLs and JSON", b)
					}
				}
				packed, _ := compressor.Compress(&bytes.Buffer{}, batch)
				got := 1 - float64(len(packed))/float64(len(batch))
				if math.Abs(got-c) > 0.07 {
					t.Errorf("got %.3f of the bytes away; want %.2f ± 0.07", got, c)
				}
			})
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []scenarios.Header
		want    string
	}{
		{"none", nil, "[]"},
		{"fixed", []scenarios.Header{{Name: "a", Value: "x{y}"}, {Name: "b"}}, "[{a x{y}} {b }]"},
		{"of the message", []scenarios.Header{{Name: "id", Value: "{key}/{seq}/{key}"}, {Name: "fixed", Value: "{stamp}"}, {Name: "n", Value: "{seq}"}},
			"[{id k3/17/k3} {fixed {stamp}} {n 17}]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHeaders(scenarios.Producer{Headers: c.headers, Keys: scenarios.Keys{Count: 100}})
			var room headerRoom
			h.of(&room, math.MaxUint64, []byte("k99")) // what a message before has left
			size := 0
			var got []string
			for _, header := range h.of(&room, 17, []byte("k3")) {
				got = append(got, fmt.Sprintf("{%s %s}", header.Key, header.Value))
				size += len(header.Key) + len(header.Value)
			}
			if text := "[" + strings.Join(got, " ") + "]"; text != c.want {
				t.Errorf("got %s; want %s", text, c.want)
			}
			if size > h.largest {
				t.Errorf("got %d bytes; want at most %d", size, h.largest)
			}
		})
	}
}

// TestPrepareAllocatesNothing guards the pacing path: a message whose buffers have been used costs no allocation, whatever
// its payload and headers are.
func TestPrepareAllocatesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("one\n{\"two\":2}\nthree"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]scenarios.Payload{
		"random":   {Kind: scenarios.PayloadRandom, Compressibility: 0.3},
		"template": {Kind: scenarios.PayloadTemplate, Template: `{"s":{seq},"k":"{key}","by":"{producer}","id":"{stamp}","t":{due_ms},"p":"{pad}"}`},
		"lines":    {Kind: scenarios.PayloadLines, File: file},
	} {
		for _, headers := range [][]scenarios.Header{nil, {{Name: "a", Value: "fixed"}}, {{Name: "k", Value: "{key}"}, {Name: "n", Value: "{seq}"}}} {
			t.Run(fmt.Sprintf("%s, %d headers", name, len(headers)), func(t *testing.T) {
				plan := enginePlan("", nil)
				from := &plan.Producers[0]
				from.Payload, from.Headers = payload, headers
				from.Size = scenarios.Size{Kind: scenarios.SizeLognormal, Min: 100, Max: 400, Median: 200, Sigma: 1}
				from.Keys = scenarios.Keys{Kind: scenarios.KeysHotSet, Count: 50, Hot: 5, HotShare: 0.8, HotMove: time.Second}
				topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 3})
				if err != nil {
					t.Fatal(err)
				}
				v, err := newValues(plan, 0)
				if err != nil {
					t.Fatal(err)
				}
				p := &producer{shape: &topo.producers[0], ledger: newLedger(3, 50), values: v, heads: newHeaders(*from)}
				m := &message{Context: context.Background(), owner: p}
				m.record.Value = make([]byte, 0, v.largest)
				m.room = headerRoom{make([]kgo.RecordHeader, 0, 2), make([]byte, 0, 64)}
				i := uint64(0)
				cur := p.shape.schedule.Cursor()
				got := testing.AllocsPerRun(1000, func() {
					p.prepare(m, i, 0, cur.Due(), 5)
					i++
				})
				if got != 0 {
					t.Errorf("got %v allocations a message; want 0", got)
				}
			})
		}
	}
}

// TestBuffersHoldTheLargestValues: the Kafka client's limits follow from the largest record that there can be and from
// the highest rate, not from a size that the payload does not have.
func TestBuffersHoldTheLargestValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte("short\n"+strings.Repeat("x", 2_000_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	const line = 2_000_000 + StampSize + 1
	plan := enginePlan("", []string{"127.0.0.1:1"})
	from := &plan.Producers[0]
	from.Payload, from.Stall = scenarios.Payload{Kind: scenarios.PayloadLines, File: file}, 10*time.Second
	from.Headers = []scenarios.Header{{Name: "h", Value: "123456789"}}
	plan.Phases.Measure[0].Rates = map[string]scenarios.Curve{"p": {Kind: scenarios.CurveRamp, From: 1, To: 50}}
	topo, err := newTopology(plan, 1, func(s string) string { return s }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := newProducer(topo, 0, plan.Kafka.Seeds, newRecorderPool(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	if got, want := p.client.OptValue(kgo.MaxBufferedRecords), any(int64(500+10_000)); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v buffered records; want %v", got, want)
	}
	if got, want := p.client.OptValue(kgo.MaxBufferedBytes), 500*(line+10)+64<<20; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v buffered bytes; want %v", got, want)
	}
	if got, want := p.client.OptValue(kgo.ProducerBatchMaxBytes), line+10+overhead; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got batches of %v bytes; want %v", got, want)
	}
}

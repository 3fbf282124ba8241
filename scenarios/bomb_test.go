package scenarios

import (
	"fmt"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// bombs are texts of up to 1 MiB that are small to write and large, deep or slow to read.
func bombs() map[string]string {
	full := func(unit string) string { return strings.Repeat(unit, maxFileBytes/len(unit)) }
	aliases := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		aliases += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+string(c-1)+",", 9) + "x]\n"
	}
	return map[string]string{
		"aliases":          aliases,
		"wide aliases":     "a: &a [" + strings.Repeat("x,", 20000) + "x]\nb: [" + strings.Repeat("*a,", 20000) + "x]\n",
		"flow list":        "[" + full("a,"),
		"flow mapping":     "{" + full("a,") + "}",
		"empty lists":      full("- []\n"),
		"nulls":            full("-\n"),
		"keys":             full("a: 1\n"),
		"open brackets":    full("["),
		"open braces":      full("{a: "),
		"nested keys":      full("? "),
		"nested items":     full("- "),
		"colons":           full(": "),
		"anchors":          full("&a "),
		"tags":             full("!a "),
		"comments":         full("#\n"),
		"comments between": full("a: #c\n #d\n"),
		"long word":        "name: " + full("a"),
		"long quote":       "name: \"" + full(`\x41`)[:maxFileBytes-40] + "\"",
		"quoted newlines":  "name: \"" + full("\n"),
		"literal":          "name: |\n" + full(" a\n"),
		"folded":           "name: >\n" + full(" \n a"),
		"documents":        full("---\n"),
		"directives":       full("%YAML 1.1\n"),
		"blank":            full(" "),
		"just below":       "[" + strings.Repeat("{a},", maxMarks/3-10) + "a]",
		"deep at the end":  strings.Repeat("a: 1\n", 9000) + strings.Repeat("[", 900),
		"indents":          indents(300),
		"escapes":          "? \"" + full(`\n`) + "\"",
		"multiline plain":  "a: b" + full("\n c"),
		"percent":          "a: 1\n" + full("%a\n"),
		"unclosed quotes":  full("'"),
		"many producers":   base[:strings.Index(base, "clients:")] + full("  - {name: a, topic: prices, rate: 1/s}\n"),
		"variables":        "name: " + full("${A:-b}"),
		"many variables":   "name: " + variables(100_000),
		"dollars":          "name: " + full("$$"),
		"variable aliases": "a: &a \"${A:-" + strings.Repeat("x", 100_000) + "}\"\nb: [" + strings.Repeat("*a,", 9000) + "x]\n",
		"conflations":      strings.Replace(base, "gateway:\n", "gateway: {conflate: {"+numbered("t", ": 1s", 9000)+"}}\n", 1),
		"headers":          strings.Replace(base, "rate: 1/s", "rate: 1/s, headers: {"+numbered("h", ": v", 9000)+"}", 1),
		"bins":             strings.Replace(base, "rate: 1/s", "rate: 1/s, size: {histogram: ["+strings.Repeat("{size: 200B, weight: 1},", 4000)+"]}", 1),
		"weights":          strings.Replace(base, "{topic: prices, keys: one}", "["+strings.Repeat("{topic: prices, weight: 1},", 4000)+"]", 1),
		"phase clients":    strings.Replace(base, "duration: 20s", "duration: 20s, clients: {"+numbered("c", ": 1", 9000)+"}", 1),
		"template":         strings.Replace(base, "rate: 1/s", "rate: 1/s, payload: {template: \""+strings.Repeat("{stam}", 150_000)+"\"}", 1),
		"sources":          strings.Replace(base, "count: 500", "count: 500\n    source_addresses: ["+strings.Repeat("127.0.0.1,", 9000)+"]", 1),
		"profile":          strings.Replace(base, "gateway:\n", "gateway: {profile: {control: ["+strings.Repeat("x,", 9000)+"], headers: {"+numbered("h", ": v", 9000)+"}}}\n", 1),
		"open list":        "a: [\n" + full("x,\n"),
		"open quotes":      full("a: \"b\n"),
	}
}

func variables(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "${A%d:-}", i)
	}
	return b.String()
}

// numbered writes n keys with one value.
func numbered(key, value string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d%s,", key, i, value)
	}
	return b.String()
}

func indents(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

// TestBombs holds the loader to its bounds of memory and time on hostile texts, as long as a file may be or just short of
// the number of elements at which the loader refuses to parse at all.
func TestBombs(t *testing.T) {
	for name, text := range bombs() {
		data := []byte(text)[:min(len(text), maxFileBytes)]
		if countMarks(data) > maxMarks {
			if problem := unreadable(data); problem == "" {
				t.Errorf("%s: got it parsed; want it refused for its %d elements", name, countMarks(data))
			}
			data = fewerMarks(data)
		}
		t.Run(name, func(t *testing.T) { checkBomb(t, data) })
	}
}

// fewerMarks cuts a text before its maxMarks-th mark.
func fewerMarks(data []byte) []byte {
	marks := 0
	for i := range data {
		if marks += countMarks(data[i : i+1]); marks == maxMarks {
			return data[:i]
		}
	}
	return data
}

func checkBomb(t *testing.T, data []byte) {
	const maxBytes, maxTime = 64 << 20, 10 * time.Second
	start := time.Now()
	peak, err := peakOf(func() error {
		s, err := Parse("bomb.yaml", data, Options{})
		if err == nil {
			_, err = s.Resolve()
		}
		return err
	})
	if took := time.Since(start); took > maxTime {
		t.Errorf("got %s; want at most %s", took, maxTime)
	}
	if err == nil {
		t.Error("got no error; want the text refused")
	}
	if peak > maxBytes {
		t.Errorf("got %d MiB of heap; want at most %d", peak>>20, maxBytes>>20)
	}
	t.Logf("%d bytes: %s, %d MiB: %.120s", len(data), time.Since(start), peak>>20, err)
}

// peakOf runs f and returns by how much the heap, garbage included, was larger than before, as seen every millisecond.
func peakOf(f func() error) (int64, error) {
	runtime.GC()
	before := heapBytes()
	done := make(chan error, 1)
	go func() { done <- f() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var peak int64
	for {
		select {
		case err := <-done:
			return max(peak, heapBytes()-before), err
		case <-tick.C:
			peak = max(peak, heapBytes()-before)
		}
	}
}

func heapBytes() int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64())
}

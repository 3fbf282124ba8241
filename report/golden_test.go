package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenRuns are the runs whose reports are kept as golden files.
func goldenRuns() map[string]*fixture {
	runs := map[string]*fixture{"passing": passing(), "broken": broken(), "invalid": passing(), "interrupted": passing()}
	lagging(runs["invalid"])
	cut := runs["interrupted"]
	interrupted(cut)
	cut.audit, cut.intervals = nil, cut.intervals[:4]
	cut.end.AtNS = cut.intervals[3].EndAt
	return runs
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if bytes.Equal(got, want) {
		return
	}
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := "(none)", "(none)"
		if i < len(gotLines) {
			g = gotLines[i]
		}
		if i < len(wantLines) {
			w = wantLines[i]
		}
		if g != w {
			t.Fatalf("%s:%d: got\n%s\nwant\n%s\n(go test -update accepts the change)", path, i+1, g, w)
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, f := range goldenRuns() {
		t.Run(name, func(t *testing.T) {
			s := f.summarise(t)
			for ext, write := range map[string]func(io.Writer) error{
				".txt":  func(w io.Writer) error { return Terminal(w, s, TerminalOptions{}) },
				".md":   func(w io.Writer) error { return Markdown(w, s) },
				".json": func(w io.Writer) error { return JSON(w, s) },
			} {
				var out bytes.Buffer
				if err := write(&out); err != nil {
					t.Fatal(err)
				}
				checkGolden(t, name+ext, out.Bytes())
			}
		})
	}
}

// The names that scripts rely on, whatever else changes in the golden file.
func TestFixedNames(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := JSON(&out, broken().summarise(t)); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(out.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	figures := []string{"count", "min_ns", "mean_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"}
	paths := []string{"schema_version", "status", "verdict", "health.state", "health.reasons", "latency.e2e.expected_count",
		"latency.e2e_expected.p50_ns", "latency.e2e_expected.p999_ns", "latency.e2e_slow_expected.p99_ns", "audit.corruption_checked",
		"audit.conflated", "resources.gateway.cpu_cores_mean", "resources.gateway.cpu_cores_max", "resources.kafka.rss_bytes_mean",
		"resources.generator.rss_bytes_max", "resources.machine_busy_mean", "resources.gateway_cpu_us_per_delivery"}
	for _, stage := range []string{"e2e", "e2e_uncorrected", "e2e_slow", "round_trip", "kafka", "gateway", "ack", "send_lag", "receive_lag", "gateway_in", "gateway_out", "spread", "connect"} {
		for _, figure := range figures {
			paths = append(paths, "latency."+stage+"."+figure)
		}
	}
	for _, class := range listClasses(results.Classes{}) {
		paths = append(paths, "audit."+class.Name)
	}
	for _, path := range paths {
		at := any(tree)
		for part := range strings.SplitSeq(path, ".") {
			object, _ := at.(map[string]any)
			var ok bool
			if at, ok = object[part]; !ok {
				t.Errorf("summary.json has no %s", path)
				break
			}
		}
	}
	latency := tree["latency"].(map[string]any)
	if got := latency["e2e_expected"].(map[string]any)["p999_ns"]; got != nil {
		t.Errorf("latency.e2e_expected.p999_ns is %v; want null, since it falls among the missing", got)
	}
	if got := latency["gateway_in"].(map[string]any)["p50_ns"]; got != nil {
		t.Errorf("latency.gateway_in.p50_ns is %v; want null, since nothing was measured", got)
	}
}

func TestTerminalFitsItsWidth(t *testing.T) {
	t.Parallel()
	for _, f := range goldenRuns() {
		f.plan.Name = strings.Repeat("a-very-long-name-", 12)
		s := f.summarise(t)
		for _, opt := range []TerminalOptions{{}, {Width: 100}, {Width: 250}, {Width: 80}} {
			var out bytes.Buffer
			if err := Terminal(&out, s, opt); err != nil {
				t.Fatal(err)
			}
			limit := 100
			if opt.Width == 80 {
				limit = 90 // the table of latencies needs that
			}
			for line := range strings.Lines(out.String()) {
				if n := runes(strings.TrimSuffix(line, "\n")); n > limit {
					t.Errorf("width %d: a line of %d characters: %s", opt.Width, n, line)
				}
			}
		}
	}
}

func TestTerminalLeadsWithTheVerdict(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Terminal(&out, broken().summarise(t), TerminalOptions{Color: true}); err != nil {
		t.Fatal(err)
	}
	if want := bad + "BROKEN" + neutral + "     40 of 24,000 expected deliveries (0.167%) were lost"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("begins with %q; want %q", out.String()[:80], want)
	}
}

// Names from the scenario and the wire reach a terminal without the characters that would move its cursor.
func TestTerminalIsSafeFromHostileNames(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := Terminal(&out, hostile().summarise(t), TerminalOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range out.String() {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x202e) {
			t.Fatalf("the text has the control character %U", r)
		}
	}
}

func TestMarkdownIsSafeFromHostileNames(t *testing.T) {
	var out bytes.Buffer
	if err := Markdown(&out, hostile().summarise(t)); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, own := range []string{"<details>", "</details>", "<summary>", "</summary>"} {
		text = strings.ReplaceAll(text, own, "")
	}
	for _, forbidden := range []string{"<", "@everyone", "[x](", "://", "\x1b", "\u202e"} {
		if strings.Contains(text, forbidden) {
			t.Errorf("the text has %q unescaped", forbidden)
		}
	}
}

// A table's row stays one row, whatever its cells hold, and a code span or a table is not opened by a name.
func TestMarkdownTablesKeepTheirColumns(t *testing.T) {
	t.Parallel()
	f := broken()
	f.plan.Thresholds[0].Text = "a | b `c` \\| d\n| e |"
	var out bytes.Buffer
	if err := Markdown(&out, f.summarise(t)); err != nil {
		t.Fatal(err)
	}
	columns := 0
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(line, "|") - strings.Count(line, `\|`)
		if columns != 0 && n != columns {
			t.Errorf("%d bars where the table has %d: %s", n, columns, line)
		}
		columns = n
	}
}

// GitHub refuses a comment of more than 65,536 characters: details go first, the verdict never.
func TestMarkdownFitsAComment(t *testing.T) {
	t.Parallel()
	evil := strings.Repeat("@://&<>|`", 2000)
	f := broken()
	f.plan.Name, f.end.Reason, f.end.Error = evil, evil, evil
	for range 500 {
		one := f.plan.Thresholds[1]
		one.Text = evil
		f.plan.Thresholds = append(f.plan.Thresholds, one)
		f.audit.Reference = append(f.audit.Reference, results.TopicAudit{Topic: evil, Producer: evil, AckedGone: 1})
		f.events = append(f.events, results.Event{AtNS: startedAt, Kind: results.EventWarning, Text: evil + string(rune('a'+len(f.events)%26))})
	}
	var out bytes.Buffer
	if err := Markdown(&out, f.summarise(t)); err != nil {
		t.Fatal(err)
	}
	if n := runes(out.String()); n > 65536 {
		t.Errorf("%d characters; GitHub takes 65,536", n)
	}
	if head := strings.SplitN(out.String(), "\n", 2)[0]; !strings.HasSuffix(head, ": broken") || !strings.Contains(out.String(), "left out") {
		t.Errorf("begins with %.80q and says nothing of what is left out", head)
	}
	if a, b := strings.Count(out.String(), "<details>"), strings.Count(out.String(), "</details>"); a != b {
		t.Errorf("%d details are opened and %d closed", a, b)
	}
}

// Nothing in a run is long or strange enough to break the table's hundred columns.
func TestTerminalFitsWithHostileNames(t *testing.T) {
	t.Parallel()
	f := hostile()
	long := strings.Repeat("ÄöÜ-long-", 60)
	f.plan.Thresholds[1].Text, f.end.Reason, f.end.Error = long, long, long
	f.plan.Clients[0].Name = long
	f.env.Gateway, f.env.Kafka = long, long
	f.events = append(f.events, results.Event{AtNS: startedAt, Kind: results.EventWarning, Text: long + "\x1b[31m\u202e\r\n" + long})
	for _, color := range []bool{false, true} {
		var out bytes.Buffer
		if err := Terminal(&out, f.summarise(t), TerminalOptions{Color: color}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			for _, own := range []string{good, bad, unsure, dim, neutral} {
				line = strings.ReplaceAll(line, own, "")
			}
			if runes(line) > 100 || strings.ContainsAny(line, "\x1b\u202e\r") {
				t.Errorf("color %v: %d columns: %q", color, runes(line), line)
			}
		}
	}
}

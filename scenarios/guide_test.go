package scenarios

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"
)

// guideShape is a mapping of the language as docs/SCENARIOS.md shows it.
type guideShape struct {
	Title, About string
	Choice       bool
	Keys         []guideKey
}

type guideKey struct{ Name, About, Value, Default, Example string }

type guideMetric struct{ Name, About, Value, Stats, Labels string }

type guideLimit struct{ Of, Usual, Most string }

// pathsOf tells where each mapping stands in what the root describes: the first path that leads to it.
func pathsOf(root *shape) map[*shape]string {
	paths := map[*shape]string{}
	var walk func(k key, path string)
	visit := func(s *shape, path string) {
		if s == nil {
			return
		}
		if _, ok := paths[s]; ok {
			return
		}
		paths[s] = path
		for _, k := range s.keys {
			walk(k, join(path, k.name))
		}
		if s.each != nil {
			walk(*s.each, join(path, "NAME"))
		}
	}
	walk = func(k key, path string) {
		visit(k.shape, path)
		if k.item != nil {
			walk(*k.item, path+"[]")
		}
		for _, form := range k.or {
			walk(form, path)
		}
	}
	visit(root, "")
	return paths
}

func guideShapes(root *shape, title string) []guideShape {
	paths := pathsOf(root)
	var out []guideShape
	for _, s := range shapesOf(root) {
		g := guideShape{Title: title, About: s.about, Choice: s.choice}
		if path := paths[s]; path != "" {
			g.Title = "`" + path + "`"
		}
		if s.of != "" {
			g.Title += " with `" + s.of + "`"
		}
		for _, k := range s.keys {
			if !k.reserved {
				g.Keys = append(g.Keys, guideKeyOf(k, "`"+k.name+"`", paths))
			}
		}
		if s.each != nil {
			g.Keys = append(g.Keys, guideKeyOf(*s.each, "*"+s.called+"*", paths))
		}
		out = append(out, g)
	}
	return out
}

func guideKeyOf(k key, name string, paths map[*shape]string) guideKey {
	g := guideKey{Name: name, About: k.about, Value: valueOf(k, paths), Example: code(k.example)}
	switch {
	case k.required:
		g.Default = "required"
	case k.fallback != "":
		g.Default = code(k.fallback)
	case k.depends != "":
		g.Default = "*" + k.depends + "*"
	}
	return g
}

// code is text as code in a table.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(text, "|", `\|`) + "`"
}

// valueOf says what a value may be, with its unit and bounds.
func valueOf(k key, paths map[*shape]string) string {
	var forms []string
	for _, w := range k.words {
		forms = append(forms, code(w))
	}
	between := func(format func(int64) string) string { return " from " + format(k.low) + " to " + format(k.high) }
	plain := func(n int64) string { return fmt.Sprint(n) }
	switch k.kind {
	case kindText:
		want, _, _ := strings.Cut(strings.TrimPrefix(orElse(k.want, "a text"), "a profile's name, "), " or a profile written out")
		forms = append(forms, want)
	case kindInt:
		forms = append(forms, "a whole number"+between(plain))
	case kindBool:
		forms = append(forms, "`true` or `false`")
	case kindNumber:
		forms = append(forms, fmt.Sprintf("a number above 0, at most %d", k.high))
	case kindShare:
		forms = append(forms, "a share")
	case kindDuration:
		forms = append(forms, "a duration"+between(func(n int64) string { return formatDuration(durationOf(n)) }))
	case kindRate:
		forms = append(forms, "a rate, at most "+formatRate(float64(k.high)))
	case kindSize:
		forms = append(forms, "a size"+between(formatSize))
	case kindMapping:
		form := "mapping " + code(paths[k.shape])
		if k.shape.of != "" {
			form += " with " + code(k.shape.of)
		}
		forms = append(forms, form)
	case kindList:
		forms = append(forms, "list of "+valueOf(*k.item, paths))
	}
	for _, form := range k.or {
		forms = append(forms, valueOf(form, paths))
	}
	return strings.Join(forms, " or ")
}

// metricsAbout says what each metric is of.
var metricsAbout = map[string]string{
	"e2e":             "when a message was due to when a client has read it (corrected latency)",
	"e2e_uncorrected": "when a message was sent to when a client has read it",
	"e2e_slow":        "as `e2e`, of the groups that read slowly on purpose, which are not in `e2e`",
	"round_trip":      "as `e2e`, of what the same client published",
	"kafka":           "when a message was sent to when a plain consumer beside the clients has read it",
	"gateway":         "when that consumer read a message to when a client has",
	"ack":             "when a message was sent to when its send was acknowledged; of what clients publish, answered",
	"send_lag":        "when a message was due to when it was sent: the generator's own delay",
	"receive_lag":     "when the kernel had a message to when the client's program has: the generator's own delay",
	"gateway_in":      "when a message was sent to when the gateway received it, where it says so",
	"gateway_out":     "when the gateway queued a message to when a client has read it, where it says so",
	"spread":          "the first to the last client of one message, of a sample of messages",
	"connect":         "dialling to the WebSocket being there",
	"replay":          "when a message was due to when a client that was away then has read it; in `e2e` too where the target had thrown the client out",
	"caught_up":       "a returning client's first dial to its having all that it missed",
	"audit":           "messages by what became of them",
	"delivery":        "delivered messages of those expected",
	"clients":         "clients whose latency is within the objective",
	"throughput":      "messages a second",
	"gateway_cpu":     "processor time of the gateway with all that it started, where it is known; 1.5 is one and a half cores",
	"kafka_cpu":       "processor time of the Kafka that weir started",
	"generator_cpu":   "processor time of weir itself",
	"machine_busy":    "the machine's processors, everything on it together",
	"gateway_rss":     "memory of the gateway with all that it started, where it is known",
	"kafka_rss":       "memory of the Kafka that weir started",
	"generator_rss":   "memory of weir itself",
}

func guideMetrics(t *testing.T) []guideMetric {
	t.Helper()
	var out []guideMetric
	for _, m := range subjects() {
		g := guideMetric{Name: m.name, About: metricsAbout[m.name], Value: m.kindOfValue(), Stats: "a latency's"}
		if m.stats != nil {
			g.Stats = "`" + strings.Join(m.stats, "`, `") + "`"
		}
		g.Labels = strings.Join(m.labels, ", ")
		if m.name == "throughput" {
			g.Labels = "group and phase, or producer and phase"
		}
		if g.About == "" {
			t.Errorf("%s: got no description; want what the metric is of", m.name)
		}
		out = append(out, g)
	}
	if len(out) != len(metricsAbout) {
		t.Errorf("got %d metrics and %d descriptions; want one each", len(out), len(metricsAbout))
	}
	return out
}

// TestGuide holds docs/SCENARIOS.md to the language; -update writes it anew.
func TestGuide(t *testing.T) {
	page, err := template.ParseFiles("testdata/guide.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	err = page.Execute(&b, map[string]any{
		"Shapes":  guideShapes(scenarioShape, "The scenario"),
		"Metrics": guideMetrics(t),
		"Limits": []guideLimit{
			{"messages a second, all senders together", formatRate(usualRate), formatRate(maxRate)},
			{"clients, all groups together", fmt.Sprint(usualClients), fmt.Sprint(maxClients)},
			{"clients of each gateway that weir starts", fmt.Sprint(usualClients), fmt.Sprint(maxPerInstance)},
			{"warm-up and measure phases together", formatDuration(usualDuration), formatDuration(maxDuration)},
		},
		"FileBytes": formatSize(maxFileBytes), "Depth": maxDepth, "LinesBytes": formatSize(maxLinesBytes), "LineBytes": formatSize(maxLineBytes),
		"SchemaBytes": formatSize(maxSchemaBytes),
	})
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, "../docs/SCENARIOS.md", b.String())
	checkTitles(t, guideShapes(scenarioShape, "The scenario"))
}

func checkTitles(t *testing.T, shapes []guideShape) {
	t.Helper()
	titles := map[string]bool{}
	for _, s := range shapes {
		if titles[s.Title] {
			t.Errorf("got two sections %s; want one each", s.Title)
		}
		titles[s.Title] = true
	}
}

// TestGuideExamples: the scenario that the guide begins with is right, and so are the curves and thresholds that it shows.
func TestGuideExamples(t *testing.T) {
	page := guideText(t)
	blocks := strings.Split(page, "```")
	least := slices.IndexFunc(blocks, func(b string) bool { return strings.Contains(b, "name: least") })
	text := strings.TrimPrefix(blocks[least], "yaml\n")
	planOf(t, text)
	for _, b := range blocks {
		for line := range strings.Lines(b) {
			line = strings.TrimSuffix(line, "\n")
			if rate, ok := strings.CutPrefix(line, "rate: "); ok && strings.HasPrefix(b, "yaml\n") {
				rate, _, _ = strings.Cut(rate, " #")
				planOf(t, text, "producers.feed.rate="+strings.TrimSpace(rate))
			}
			if check, ok := strings.CutPrefix(line, "  - "); ok && strings.HasPrefix(b, "yaml\nthresholds:") {
				check, _, _ = strings.Cut(check, " #")
				planOf(t, text, "thresholds=["+quoteThreshold(check)+"]")
			}
		}
	}
}

func quoteThreshold(check string) string {
	if check = strings.TrimSpace(check); strings.HasPrefix(check, "{") {
		return check
	}
	return "'" + check + "'"
}

func guideText(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/SCENARIOS.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func durationOf(n int64) time.Duration { return time.Duration(n) }

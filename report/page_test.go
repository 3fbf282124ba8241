package report

import (
	"bytes"
	"encoding/json"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// stalled makes the fifth interval (8 to 10 s) one in which the messages of two seconds came late, and says in which
// stage the time was lost.
func stalled(stage results.Stage) *fixture {
	f := passing()
	in := f.intervals[4]
	late := recorded(1000, rand.New(rand.NewPCG(11, 12)), 1.2e9, 0.2)
	for i := range in.Series {
		if s := &in.Series[i]; s.Group == "viewers" && s.Stage == results.StageE2E || s.Group == "" && s.Stage == stage {
			*s = late.Series(s.Stage, s.Label)
		}
	}
	return f
}

// page renders the fixture with a timeline of its own, or where that is nil with that of its intervals, without a
// directory.
func (f *fixture) page(t *testing.T, line *timeline) string {
	t.Helper()
	if line == nil {
		all := func(yield func(*results.Interval, error) bool) {
			for _, in := range f.intervals {
				if !yield(in, nil) {
					return
				}
			}
		}
		var err error
		if line, err = makeTimeline(f.plan, len(f.intervals), all); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	run := &results.Run{Dir: "runs/prices", Plan: f.plan, Environment: f.env, Events: f.events, Audit: f.audit, Health: f.health, End: f.end}
	if err := writeHTML(&out, run, f.summarise(t), line); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// dataOf is what the page's script gets.
func dataOf(t *testing.T, page string) pageData {
	t.Helper()
	m := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no data")
	}
	var data pageData
	if err := json.Unmarshal([]byte(m[1]), &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// What a stall leaves behind is told on top and shaded, with the side on which the time was lost.
func TestPageTellsAStall(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stage results.Stage
		want  string
	}{
		{"", "not Kafka: the observer had everything read meanwhile within"},
		{results.StageKafka, "Kafka&#39;s side was late: the observer beside the clients read up to"},
		{results.StageSendLag, "the generator itself sent up to"},
	} {
		page := stalled(test.stage).page(t, nil)
		if !strings.Contains(page, `<li class="bad">`) || !strings.Contains(page, test.want) {
			t.Errorf("time lost in %q: the page does not say %q", test.stage, test.want)
		}
		late := dataOf(t, page).Late
		if len(late) != 1 || late[0].To != 10 || late[0].From < 5 || late[0].From > 8 {
			t.Errorf("shaded: %+v; want one stretch up to 10 s that begins about 2 s before its deliveries", late)
		}
	}
	if page := passing().page(t, nil); len(dataOf(t, page).Late) != 0 || !strings.Contains(page, "No stretch much slower than the rest, no disconnect, no other event") {
		t.Error("a run in which nothing happened tells of something")
	}
}

// What Kafka's side was late with may reach the clients an interval later; it stays Kafka's.
func TestStretchLooksUpstream(t *testing.T) {
	t.Parallel()
	f := stalled("")
	before := f.intervals[3]
	for i := range before.Series {
		if s := &before.Series[i]; s.Stage == results.StageKafka {
			*s = seriesOf(results.StageKafka, s.Label, append(manyOf(999, ms), 1900*ms)...)
		}
	}
	if page := f.page(t, nil); !strings.Contains(page, "Kafka&#39;s side was late: the observer beside the clients read up to 1.90 s") {
		t.Error("the page does not charge Kafka's side")
	}
}

// Events that a chart could not tell apart share a mark; what is a defect by itself is told first.
func TestPageTellsEvents(t *testing.T) {
	t.Parallel()
	f := passing()
	for i := range 200 {
		f.events = append(f.events, results.Event{AtNS: startedAt + 6e9 + int64(i), Kind: results.EventDisconnect, Text: "client thrown out"})
	}
	f.events = append(f.events, results.Event{AtNS: startedAt + 9e9, Kind: results.EventTarget, Text: "the gateway died"})
	page := f.page(t, nil)
	if events := dataOf(t, page).Events; len(events) != 2 || events[0].Bad || !events[1].Bad {
		t.Errorf("marks: %+v; want one for the disconnects and one for the death", events)
	}
	death, thrown := strings.Index(page, "target: the gateway died"), strings.Index(page, "disconnect: client thrown out, and 199 more of the kind")
	if death < 0 || thrown < death {
		t.Errorf("the death is told at %d, the disconnects at %d; want the death first", death, thrown)
	}
}

// Every delivery is in the heatmap once, and its table has the same.
func TestHeatmapHoldsEveryDelivery(t *testing.T) {
	t.Parallel()
	f := passing()
	line, err := readTimeline(f.write(t))
	if err != nil {
		t.Fatal(err)
	}
	h := latencyHeatmap(line)
	var want, drawn int64
	for _, in := range f.intervals {
		for _, s := range in.Series {
			if s.Stage == results.StageE2E {
				want += s.Count()
			}
		}
	}
	for _, cells := range h.Cells {
		for i := 1; i < len(cells); i += 2 {
			drawn += cells[i]
		}
	}
	var listed int64
	for _, row := range h.Rows {
		for _, cell := range row[1:] {
			var n int64
			if err := json.Unmarshal([]byte(strings.ReplaceAll(cell, ",", "")), &n); err != nil {
				t.Fatal(err)
			}
			listed += n
		}
	}
	if drawn != want || listed != want || len(h.Rows) != len(f.intervals) {
		t.Errorf("%d deliveries: %d drawn, %d in the %d lines of the table", want, drawn, listed, len(h.Rows))
	}
}

func TestHeatBin(t *testing.T) {
	for ns, want := range map[int64]int{-5: 0, 0: 0, 999: 0, 1000: 1, 1249: 1, 1250: 2, 10_000: 11, 9_999: 10, 1e9: 61} {
		if got := heatBin(ns); got != want {
			t.Errorf("heatBin(%d) = %d; want %d", ns, got, want)
		}
		if edge := heatEdges()[heatBin(ns)]; ns >= 0 && edge > ns {
			t.Errorf("%d is in the bin from %d", ns, edge)
		}
	}
}

func TestFarFrom(t *testing.T) {
	at := func(v float64, op string, limit float64, unit string) Finding {
		return finding(scenarios.Threshold{Op: op, Value: limit, Unit: unit}, observation{state: found, value: v})
	}
	for _, test := range []struct {
		f    Finding
		want string
		bar  *bar
	}{
		{at(5e6, "<", 50e6, "ns"), "10% of the limit", &bar{10, 100}},
		{at(100e6, "<", 50e6, "ns"), "2.00× the limit", &bar{100, 50}},
		{at(4, "==", 0, "count"), "4 off", nil},
		{at(0, "==", 0, "count"), "", nil},
		{at(0.998, ">=", 0.999, "ratio"), "0.10 points below the limit", &bar{100, 100}},
		{finding(scenarios.Threshold{Op: "<", Value: 1}, observation{text: "no data"}), "", nil},
	} {
		text, drawn := farFrom(test.f)
		if text != test.want || (drawn == nil) != (test.bar == nil) || drawn != nil && *drawn != *test.bar {
			t.Errorf("%v %s %v: %q, %v; want %q, %v", test.f.Observed, test.f.Op, test.f.Value, text, drawn, test.want, test.bar)
		}
	}
}

// An hour of intervals of a second is a page that a mail takes, and says that its points are several intervals.
func TestPageOfAnHour(t *testing.T) {
	t.Parallel()
	f := passing()
	var few [6][]results.Series
	for i := range few {
		for _, s := range f.intervals[2+i].Series {
			if s.Stage == results.StageE2E && s.Group == "desks" || s.Stage == results.StageSendLag {
				few[i] = append(few[i], s)
			}
		}
	}
	hour := func(yield func(*results.Interval, error) bool) {
		for i := range 3600 {
			in := *f.intervals[2+i%6]
			in.Index, in.StartAt, in.EndAt = i, startedAt+int64(i)*int64(time.Second), startedAt+int64(i+1)*int64(time.Second)
			in.Series = nil
			if i%12 == 0 { // one of a point's intervals has the histograms, which are most of the time
				in.Series = few[i/12%6]
			}
			if !yield(&in, nil) {
				return
			}
		}
	}
	line, err := makeTimeline(f.plan, 3600, hour)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		f.events = append(f.events, results.Event{AtNS: startedAt + int64(i)*700*ms, Kind: results.EventDisconnect, Phase: "steady", Text: "client viewers/17: close 1008 slow consumer"})
	}
	page := f.page(t, line)
	t.Logf("%d bytes", len(page))
	if n := len(page); n > 1_500_000 {
		t.Errorf("the page has %d bytes; want at most 1,500,000", n)
	}
	if !strings.Contains(page, "a point is 12 intervals merged") {
		t.Error("the page does not say that its points are 12 intervals each")
	}
	for _, c := range dataOf(t, page).Charts {
		if len(c.XS) > timelinePoints {
			t.Errorf("chart %s has %d points; want at most %d", c.ID, len(c.XS), timelinePoints)
		}
	}
}

// By keyboard a chart tells its values, one point after the other; the script's own handlers are called. The window is a
// phone's, as narrow as the browser makes one, and nothing but tables in their own frames is wider.
func TestChartsByKeyboard(t *testing.T) {
	t.Parallel()
	page := stalled("").page(t, nil)
	const press = `["latency-time", "latency-heat"].forEach(function (id) {
  var box = document.getElementById(id);
  ["Home", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight"].forEach(function (key) {
    box.dispatchEvent(new KeyboardEvent("keydown", { key: key, cancelable: true }));
  });
  document.body.dataset.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.body.dataset[id.replace("-", "")] = box.tabIndex + " " + box.querySelector(".said").textContent;
});`
	// The page's own policy would keep the test's script out, as TestHTMLOfAHostileRun shows; so here it goes.
	page = policyMeta.ReplaceAllString(page, "")
	dom, console := runChromium(t, strings.Replace(page, "</body>", "<script>"+press+"</script></body>", 1), "--window-size=500,1500", "--dump-dom")
	for _, want := range []string{`data-overflow="0"`, `data-latencytime="0 10 s, p50 `, `max 2.38 s`, `data-latencyheat="0 8 s to 10 s: 3,000 deliveries, most of them took `} {
		if !strings.Contains(dom, want) {
			t.Errorf("the document has no %q; the console says %q; %s", want, console, regexp.MustCompile(`<body[^>]*>`).FindString(dom))
		}
	}
}

// Pictures for people: one, and with WEIR_SCREENSHOTS, which names a directory that keeps them, the dark page and the
// phone's too. That they are not blank is all that a test can say.
func TestScreenshots(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("WEIR_SCREENSHOTS")
	pictures := map[string][]string{
		"desk":  {"--window-size=1280,1400"},
		"dark":  {"--window-size=1280,1400", "--blink-settings=preferredColorScheme=0"},
		"phone": {"--window-size=500,1800"},
	}
	if dir == "" {
		dir = t.TempDir()
		delete(pictures, "dark")
		delete(pictures, "phone")
	}
	stall := stalled("").page(t, nil)
	for name, flags := range pictures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, name+".png")
			runChromium(t, stall, append(flags, "--screenshot="+file)...)
			picture, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			image, err := png.Decode(bytes.NewReader(picture))
			if err != nil {
				t.Fatal(err)
			}
			colors := map[[3]uint32]bool{}
			for y := 0; y < image.Bounds().Dy(); y += 3 {
				for x := 0; x < image.Bounds().Dx(); x += 3 {
					r, g, b, _ := image.At(x, y).RGBA()
					colors[[3]uint32{r, g, b}] = true
				}
			}
			if len(colors) < 50 {
				t.Errorf("%d colours; the page is blank", len(colors))
			}
		})
	}
}

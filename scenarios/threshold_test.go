package scenarios

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseThreshold(t *testing.T) {
	ms := float64(time.Millisecond)
	filters := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for _, want := range []Threshold{
		{Text: "e2e.p99 < 50ms", Metric: "e2e.p99", Op: "<", Value: 50 * ms, Unit: UnitNS},
		{Text: "e2e.p99<50ms", Metric: "e2e.p99", Op: "<", Value: 50 * ms, Unit: UnitNS},
		{Text: "e2e.p99.9 <= 0.2s", Metric: "e2e.p999", Op: "<=", Value: 200 * ms, Unit: UnitNS},
		{Text: "e2e.p999 <= 200ms", Metric: "e2e.p999", Op: "<=", Value: 200 * ms, Unit: UnitNS},
		{Text: "e2e.p99.95 < 1s", Metric: "e2e.p9995", Op: "<", Value: 1000 * ms, Unit: UnitNS},
		{Text: "e2e.p50.0 < 1s", Metric: "e2e.p50", Op: "<", Value: 1000 * ms, Unit: UnitNS},
		{Text: "e2e_uncorrected.mean < 1ms", Metric: "e2e_uncorrected.mean", Op: "<", Value: ms, Unit: UnitNS},
		{Text: "send_lag.max < 1ms", Metric: "send_lag.max", Op: "<", Value: ms, Unit: UnitNS},
		{Text: "connect{group=viewers}.p99 < 1s", Metric: "connect.p99", Op: "<", Value: 1000 * ms, Unit: UnitNS, Filters: filters("group", "viewers")},
		{Text: "e2e{group=viewers, phase=steady,producer = feed }.p99 < 50ms", Metric: "e2e.p99", Op: "<", Value: 50 * ms, Unit: UnitNS,
			Filters: filters("group", "viewers", "phase", "steady", "producer", "feed")},
		{Text: "e2e.p99{phase=steady} < 50ms", Metric: "e2e.p99", Op: "<", Value: 50 * ms, Unit: UnitNS, Filters: filters("phase", "steady")},
		{Text: "audit.lost == 0", Metric: "audit.lost", Op: "==", Unit: UnitCount},
		{Text: "audit.expected>=1000", Metric: "audit.expected", Op: ">=", Value: 1000, Unit: UnitCount},
		{Text: "audit.undetermined != 1", Metric: "audit.undetermined", Op: "!=", Value: 1, Unit: UnitCount},
		{Text: "delivery.ratio >= 99.9%", Metric: "delivery.ratio", Op: ">=", Value: 0.999, Unit: UnitRatio},
		{Text: "clients.within > 0.99", Metric: "clients.within", Op: ">", Value: 0.99, Unit: UnitRatio},
		{Text: "throughput.delivered > 9k/s", Metric: "throughput.delivered", Op: ">", Value: 9000, Unit: UnitPerS},
		{Text: "throughput{producer=feed}.acked > 600/m", Metric: "throughput.acked", Op: ">", Value: 10, Unit: UnitPerS, Filters: filters("producer", "feed")},
	} {
		if got, err := ParseThreshold(" " + want.Text + "\t"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v; want %+v", want.Text, got, err, want)
		}
	}
}

func TestParseThresholdRefuses(t *testing.T) {
	for _, c := range []struct {
		text   string
		offset int
		part   string
	}{
		{"", 0, "does not begin with a metric"},
		{"é2e.p99 < 50ms", 0, "does not begin with a metric"},
		{"  e2.p99 < 50ms", 2, "did you mean e2e?"},
		{"e2e", 3, "write e2e.p50"},
		{"e2e.", 4, "write e2e.p50"},
		{"e2e.p", 4, "p99 or p99.9"},
		{"e2e.p1", 4, "p99 or p99.9"},
		{"e2e.p00 < 1s", 4, "p99 or p99.9"},
		{"e2e.p100 < 1s", 4, "e2e.max"},
		{"e2e.p100.0 < 1s", 4, "e2e.max"},
		{"e2e.p99. < 1s", 4, "p99 or p99.9"},
		{"e2e.p99.9999999 < 1s", 4, "p99 or p99.9"},
		{"e2e.average < 1s", 4, "did you mean mean?"},
		{"e2e.p99", 7, "write e2e.p99 < 50ms"},
		{"audit.lost", 10, "write audit.lost < 0"},
		{"e2e.p99 50ms", 8, `"50ms" is not an operator`},
		{"e2e.p99 =< 50ms", 8, "write <="},
		{"e2e.p99 <", 9, "write e2e.p99 < 50ms"},
		{"e2e.p99 < 50", 10, "write 50ms"},
		{"e2e.p99 < -1ms", 10, "is not a duration"},
		{"audit.lost == -1", 14, "is not a whole number"},
		{"audit.lost == 1/s", 14, "write 1"},
		{"audit.p99 < 1", 6, "unknown statistic"},
		{"e2e{}.p99 < 1s", 4, "is not a label"},
		{"e2e{group}.p99 < 1s", 4, "is not a label"},
		{"e2e{group=}.p99 < 1s", 10, "write group=NAME"},
		{`e2e{group="a"}.p99 < 1s`, 10, "without quotes"},
		{"e2e{group=a.p99 < 1s", 11, "followed by , or }"},
		{"e2e{group=a,}.p99 < 1s", 12, "is not a label"},
		{"e2e{gruop=a}.p99 < 1s", 4, "did you mean group?"},
		{"e2e{group=a}.p99{phase=b} < 1s", 16, "a second time"},
		{"clients{group=a}.within > 0.9", 14, "not split by group"},
		{"audit{producer=a}.foreign == 0", 15, "not split by producer"},
		{"throughput{group=a}.sent > 1/s", 17, "not split by group"},
		{strings.Repeat("e", 2000), 0, "longer than a threshold"},
	} {
		_, problem := parseThreshold(c.text)
		if problem == nil || problem.offset != c.offset || !strings.Contains(problem.message, c.part) {
			t.Errorf("%q: got %+v; want offset %d and %q", c.text, problem, c.offset, c.part)
		}
	}
}

func TestPercentile(t *testing.T) {
	for metric, want := range map[string]float64{"e2e.p50": 50, "e2e.p999": 99.9, "ack.p9999": 99.99, "e2e.p9995": 99.95, "e2e.p05": 5} {
		if got, ok := (Threshold{Metric: metric, Unit: UnitNS}).Percentile(); !ok || math.Abs(got-want) > 1e-12 {
			t.Errorf("%s: got %v, %t; want %v", metric, got, ok, want)
		}
	}
	for _, metric := range []string{"e2e.max", "e2e.mean", "audit.lost", ""} {
		if got, ok := (Threshold{Metric: metric, Unit: UnitNS}).Percentile(); ok {
			t.Errorf("%s: got %v; want no percentile", metric, got)
		}
	}
}

// FuzzParseThreshold: no text panics, a problem's place lies in the text, and what is accepted says the same again when
// written in its canonical form.
func FuzzParseThreshold(f *testing.F) {
	for _, seed := range []string{
		"e2e.p99 < 50ms", "e2e{group=viewers, phase=steady}.p99.9 <= 200ms", "audit.lost == 0", "delivery.ratio >= 99.9%",
		"throughput.delivered >= 9k/s", "e2e.p99{phase=a} != 1h", "e2e{", "e2e.p100", "é", "audit.lost == 9223372036854775807",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, problem := parseThreshold(text)
		if problem != nil {
			if problem.offset < 0 || problem.offset > len(text) || problem.message == "" {
				t.Errorf("got problem %+v; want it in the text", problem)
			}
			return
		}
		again, err := ParseThreshold(canonicalText(parsed.Threshold))
		again.Text = parsed.Text
		if err != nil || !reflect.DeepEqual(again, parsed.Threshold) {
			t.Errorf("%q: got %+v, %v; want %+v", canonicalText(parsed.Threshold), again, err, parsed.Threshold)
		}
	})
}

// canonicalText writes a threshold from its parsed form, but for the value, which is taken from the text.
func canonicalText(t Threshold) string {
	var labels []string
	for name, value := range t.Filters {
		labels = append(labels, name+"="+value)
	}
	name, stat := t.Subject()
	if labels != nil {
		name += "{" + strings.Join(labels, ",") + "}"
	}
	value := t.Text[strings.LastIndex(t.Text, t.Op)+len(t.Op):]
	return name + "." + stat + t.Op + value
}

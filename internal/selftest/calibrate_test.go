package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// interval is one of the measure phase.
func interval(start, end time.Duration, delivered int64, missing float64) *results.Interval {
	return &results.Interval{StartAt: int64(start), EndAt: int64(end), Phase: "steady",
		Counters: []results.Counter{{Name: results.CountDelivered, Value: delivered}, {Name: results.CountSent, Value: 7}},
		Gauges:   map[string]float64{results.GaugeMissingSoFar: missing}}
}

// TestFlow: rates are by the intervals' own length, the first left out.
func TestFlow(t *testing.T) {
	got, err := flowOf([]*results.Interval{interval(0, time.Second, 9999, 100), interval(time.Second, 2*time.Second, 1000, 600),
		interval(2*time.Second, 3500*time.Millisecond, 1500, 1350)})
	if err != nil || got != (flow{Arrived: 1000, Growth: 500}) {
		t.Errorf("got %+v, %v; want 1,000 arrivals and 500 more in the backlog a second", got, err)
	}
	for _, few := range [][]*results.Interval{nil, {interval(0, 1, 1, 1), interval(1, 2, 1, 1)}, {interval(0, 5, 1, 1), interval(5, 5, 1, 1), interval(5, 5, 1, 1)}} {
		if _, err := flowOf(few); !errors.Is(err, errShort) {
			t.Errorf("got %v for %d intervals; want that they are too few", err, len(few))
		}
	}
}

// TestDialRate: the intervals in which dialling began and ended are left out; a pause between others is not.
func TestDialRate(t *testing.T) {
	dialled := func(start, end time.Duration, n int64) *results.Interval {
		return &results.Interval{StartAt: int64(start), EndAt: int64(end), Counters: []results.Counter{{Name: results.CountConnected, Value: n}}}
	}
	const tenth = 100 * time.Millisecond
	for _, c := range []struct {
		in   []*results.Interval
		want float64
	}{
		{[]*results.Interval{dialled(0, tenth, 1), dialled(tenth, 2*tenth, 500), dialled(2*tenth, 4*tenth, 1000), dialled(4*tenth, 5*tenth, 3)}, 5000},
		{[]*results.Interval{dialled(0, tenth, 1), dialled(tenth, 2*tenth, 500), dialled(4*tenth, 5*tenth, 3)}, 500. / 0.3},
	} {
		if got, err := dialRate(c.in); err != nil || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("got %v, %v; want %v", got, err, c.want)
		}
	}
	for _, few := range [][]*results.Interval{nil, {dialled(0, tenth, 100)}, {dialled(0, tenth, 100), dialled(tenth, 2*tenth, 300)}} {
		if got, err := dialRate(few); !errors.Is(err, errShort) {
			t.Errorf("got %v, %v of %d intervals, which are too few", got, err, len(few))
		}
	}
}

// TestSearch: rates double until one does not hold, then close in on it; the ceiling lies between what is found.
func TestSearch(t *testing.T) {
	for _, c := range []struct {
		name         string
		ceiling      int
		tries        int // there is time for
		want         []int
		held, turned float64
	}{
		{"between", 85_000, 99, []int{10_000, 20_000, 40_000, 80_000, 160_000, 120_000, 100_000, 90_000, 85_000}, 85_000, 90_000},
		{"below the first", 3_000, 99, []int{10_000, 5_000, 2_500, 3_750, 3_125, 2_812, 2_968}, 2_968, 3_125},
		{"nothing holds", 0, 99, []int{10_000, 5_000, 2_500, 1_250, 625, 500}, 0, 500},
		{"no end", 1 << 40, 99, []int{10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 640_000, 1_280_000, 2_000_000}, 2_000_000, 0},
		{"no time", 85_000, 3, []int{10_000, 20_000, 40_000}, 40_000, 0},
		{"no time at all", 85_000, 0, []int{}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tried := []int{}
			steps := search(func() bool { return len(tried) < c.tries }, func(perS int) (Step, bool) {
				tried = append(tried, perS)
				s := Step{PerS: float64(perS)}
				if perS > c.ceiling {
					s.Turned = "too much"
				}
				return s, true
			})
			if got := ceilingOf(steps); !slices.Equal(tried, c.want) || got.HeldPerS != c.held || got.TurnedPerS != c.turned {
				t.Errorf("got %v, %+v; want %v, held %v, turned %v", tried, got, c.want, c.held, c.turned)
			}
		})
	}
	if got := search(func() bool { return true }, func(int) (Step, bool) { return Step{}, false }); len(got) != 0 {
		t.Errorf("got %v of a search that was interrupted; want nothing", got)
	}
}

// TestCeilingIsBelowWhatTurned: a rate that held above one that did not is no ceiling.
func TestCeilingIsBelowWhatTurned(t *testing.T) {
	got := ceilingOf([]Step{{PerS: 10}, {PerS: 40, Turned: "x"}, {PerS: 80}, {PerS: 20, Turned: "y"}, {PerS: 15}})
	if got != (Ceiling{HeldPerS: 15, TurnedPerS: 20, Why: "y"}) {
		t.Errorf("got %+v; want 15 to 20", got)
	}
}

// TestSteps: a rate turns at invalid health, and where less than 99% arrives.
func TestSteps(t *testing.T) {
	w := Work{Clients: 500, Keys: 10, Rate: 200}
	cores, target := 0.5, 7.0
	summary := func() *report.Summary {
		s := &report.Summary{}
		s.Health.State = report.HealthValid
		s.Latency.E2E = report.Latency{P50NS: 1, P99NS: 2}
		s.Resources.Generator.CPUMean, s.Resources.GatewayCPUPerDelivery = &cores, &target
		return s
	}
	got := stepOf(w, summary(), flow{Arrived: 10_000})
	if got.PerS != 10_000 || got.Achieved != 1 || *got.GeneratorUS != 50 || *got.TargetUS != 7 || got.Turned != "" || got.P50NS != 1 || got.P99NS != 2 {
		t.Errorf("got %+v; want 10,000/s to hold at 50 and 7 µs", got)
	}
	if got := stepOf(w, summary(), flow{Arrived: 9_900}); got.Turned != "" {
		t.Errorf("got %q at 99%%; want it to hold", got.Turned)
	}
	if got := stepOf(w, summary(), flow{Arrived: 9_899}); got.Turned != "9,899/s of 10,000/s arrived" {
		t.Errorf("got %q; want it to turn", got.Turned)
	}
	s := summary()
	sick(s, report.HealthDoubtful, "machine_busy")
	if got := stepOf(w, s, flow{Arrived: 10_000}); got.Turned != "" {
		t.Errorf("got %q of a doubtful run; want it to hold", got.Turned)
	}
	s = summary()
	sick(s, report.HealthInvalid, "send_lag")
	if got := stepOf(w, s, flow{Arrived: 10_000}); got.Turned != "because of send_lag" {
		t.Errorf("got %q; want it to turn", got.Turned)
	}
	s = summary()
	s.Resources.Generator.CPUMean = nil
	if got := stepOf(w, s, flow{}); got.GeneratorUS != nil || got.Turned == "" {
		t.Errorf("got %+v of a run in which nothing arrived; want no figure", got)
	}
}

// TestCalibratePrints: the table is what the figures are, and what is not known is a dash or is not there.
func TestCalibratePrints(t *testing.T) {
	us := 6.254
	busy := 0.5
	c := &Calibration{
		WeirVersion: "1.0", Cores: 2, CPU: "A processor", Kernel: "6.1",
		Floor: &Floor{Clients: 100, PerS: 1000, P50NS: 312_345, P99NS: 1_234_567, Health: report.HealthValid},
		Dials: &Dials{Clients: 4000, PerS: 9876.5},
		Steps: []Step{
			{PerS: 10_000, Achieved: 1, Health: report.HealthValid, P50NS: 400_000, P99NS: 2_000_000, GeneratorUS: &us, TargetUS: &us, MachineBusy: &busy},
			{PerS: 20_000, Turned: "the target died"},
		},
		Remarks: []string{"the echo could not be measured: no room"},
	}
	c.Ceiling = ceilingOf(c.Steps)
	var b strings.Builder
	if err := c.Print(&b); err != nil {
		t.Fatal(err)
	}
	const want = `machine   2 cores, A processor, 6.1, weir 1.0
floor     p50 312µs, p99 1.23ms end to end; 100 clients, 1,000 deliveries/s, health valid
dials     9,876/s, up to 4,000 clients
ceiling   10,000 deliveries/s hold, 20,000 do not: the target died

   deliveries/s   arrived   health     p50   p99       generator          target   machine busy
         10,000    100.0%    valid   400µs   2ms            6.25            6.25          50.0%
         20,000      0.0%        –      0s    0s               –               –              –
                                                   µs a delivery   µs a delivery
remark    the echo could not be measured: no room
`
	if got := trimmed(b.String()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	data, err := json.Marshal(&Calibration{Steps: []Step{}, Remarks: []string{}})
	if err != nil || !strings.Contains(string(data), `"floor":null`) || !strings.Contains(string(data), `"steps":[]`) {
		t.Errorf("got %s, %v; want null for what is not known", data, err)
	}
}

func trimmed(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}

// TestCeilingTexts: what is known of it is said, and nothing else.
func TestCeilingTexts(t *testing.T) {
	for _, c := range []struct {
		c    Ceiling
		want string
	}{
		{Ceiling{}, "not measured"},
		{Ceiling{HeldPerS: 2e6}, "at least 2,000,000 deliveries/s, the highest rate that was tried"},
		{Ceiling{TurnedPerS: 500, Why: "late"}, "below 500 deliveries/s, the lowest rate that was tried: late"},
		{Ceiling{HeldPerS: 1000, TurnedPerS: 1100, Why: "late"}, "1,000 deliveries/s hold, 1,100 do not: late"},
	} {
		if got := c.c.text(); got != c.want {
			t.Errorf("got %q; want %q", got, c.want)
		}
	}
}

// TestCalibrateWithoutAFloor: where nothing can be run there is no calibration; what fails later is a remark.
func TestCalibrateWithoutAFloor(t *testing.T) {
	fails := func(context.Context, *scenarios.Plan) (*Measured, error) { return nil, errors.New("no room") }
	if _, err := Calibrate(t.Context(), Options{Run: fails, Target: []string{"weir"}}); err == nil || err.Error() != "measure the floor: no room" {
		t.Errorf("got %v; want the reason", err)
	}
	runs := 0
	later := func(_ context.Context, plan *scenarios.Plan) (*Measured, error) {
		if runs++; runs > 1 {
			return nil, errors.New("no room")
		}
		s := right(t, "clean")
		s.Environment = &results.Environment{Cores: 3, WeirVersion: "1.0"}
		return &Measured{Summary: s}, nil
	}
	got, err := Calibrate(t.Context(), Options{Run: later, Target: []string{"weir"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"the echo could not be measured: no room", "the dials could not be measured: no room",
		"10,000 deliveries/s could not be tried, nor any further rate: no room"}
	if got.Cores != 3 || got.Floor.P50NS != ms/2 || got.Echo != nil || got.Dials != nil || !slices.Equal(got.Remarks, want) ||
		got.Ceiling != (Ceiling{}) || len(got.Steps) != 0 {
		t.Errorf("got %+v; want the floor, and why nothing else is there", got)
	}
}

// TestFloorOf: a run that lost something, or measured nothing, is no floor.
func TestFloorOf(t *testing.T) {
	for want, change := range map[string]func(*report.Summary){
		"": func(*report.Summary) {},
		"the floor could not be measured: its run has no latency":                                  func(s *report.Summary) { s.Latency.E2E = report.Latency{} },
		"the floor could not be measured: 1 lost, 0 twice, 0 out of order of 2400":                 func(s *report.Summary) { s.Audit.Lost, s.Audit.Delivered = 1, 2399 },
		"the floor could not be measured: 0 lost, 0 twice, 0 out of order of 2400; the sum is off": func(s *report.Summary) { s.Audit.Defects = []string{"the sum is off"} },
		"the floor could not be measured: 0 lost, 0 twice, 0 out of order of 0":                    func(s *report.Summary) { s.Audit = report.AuditSummary{} },
		"the floor is that of a machine that does something else: because of machine_busy":         func(s *report.Summary) { sick(s, report.HealthDoubtful, "machine_busy") },
	} {
		c := &calibrating{found: &Calibration{}}
		s := right(t, "clean")
		change(s)
		got := c.floorOf("the floor", workOf(t, "clean"), s, s.Latency.E2E)
		if (got == nil) != strings.Contains(want, "could not") || strings.Join(c.found.Remarks, "|") != want {
			t.Errorf("got %+v and %q; want %q", got, c.found.Remarks, want)
		}
	}
}

// TestSurely: a rate that does not hold is tried once more, and the second try stands.
func TestSurely(t *testing.T) {
	for name, c := range map[string]struct {
		runs      []string // health of each run; "" is an error
		wantTried int
		turned    string
		ok        bool
		remarks   []string
	}{
		"holds":              {[]string{"valid"}, 1, "", true, nil},
		"turned, then holds": {[]string{"invalid", "valid"}, 2, "", true, []string{"10,000 deliveries/s held at the second try; at the first: because of send_lag"}},
		"turned twice":       {[]string{"invalid", "invalid"}, 2, "because of send_lag", true, nil},
		"fails":              {[]string{""}, 1, "", false, []string{"10,000 deliveries/s could not be tried, nor any further rate: no room"}},
		"turned, then fails": {[]string{"invalid", ""}, 2, "because of send_lag", true, []string{"10,000 deliveries/s could not be tried, nor any further rate: no room"}},
	} {
		t.Run(name, func(t *testing.T) {
			tried := 0
			run := func(_ context.Context, plan *scenarios.Plan) (*Measured, error) {
				tried++
				health := c.runs[tried-1]
				if health == "" {
					return nil, errors.New("no room")
				}
				s := right(t, "clean")
				if health == "invalid" {
					sick(s, report.HealthInvalid, "send_lag")
				}
				return &Measured{Summary: s, Dir: loggedRun(t, plan, 10_000)}, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			cal := &calibrating{ctx: ctx, options: Options{Run: run, Target: []string{"weir"}}, found: &Calibration{}}
			got, ok := cal.surely(10_000)
			if tried != c.wantTried || got.Turned != c.turned || ok != c.ok || !slices.Equal(cal.found.Remarks, c.remarks) {
				t.Errorf("got %+v, %v after %d tries, %q", got, ok, tried, cal.found.Remarks)
			}
		})
	}
}

// loggedRun is the directory of a run in which so many deliveries a second arrived.
func loggedRun(t *testing.T, plan *scenarios.Plan, perS int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	errs := []error{w.Plan(plan)}
	for i := range time.Duration(4) {
		errs = append(errs, w.Interval(interval(i*time.Second, (i+1)*time.Second, perS, 0)))
	}
	errs = append(errs, w.End(&results.End{Status: results.StatusComplete}), w.Close())
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCeilingIsTold: where the search ended for want of time the gap says so.
func TestCeilingIsTold(t *testing.T) {
	for c, want := range map[Ceiling]bool{
		{}: false, {HeldPerS: 1000, TurnedPerS: 1100}: true, {HeldPerS: 1000, TurnedPerS: 1101}: false, {HeldPerS: lastStep}: true, {HeldPerS: lastStep / 2}: false,
		{TurnedPerS: leastStep}: true, {TurnedPerS: 2 * leastStep}: false,
	} {
		if c.told() != want {
			t.Errorf("%+v: got told %v", c, !want)
		}
	}
}

// TestSpan: three digits say enough.
func TestSpan(t *testing.T) {
	for ns, want := range map[int64]string{0: "0s", 999: "999ns", 312_345: "312µs", 1_234_567: "1.23ms", 2_001_999_000: "2s", -20_512_345: "-20.5ms"} {
		if got := span(ns); got != want {
			t.Errorf("%d: got %s; want %s", ns, got, want)
		}
	}
}

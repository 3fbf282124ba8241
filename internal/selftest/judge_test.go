package selftest

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/nulltarget"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

const ms = int64(time.Millisecond)

// workOf is the check's work.
func workOf(t *testing.T, name string) Work {
	t.Helper()
	for _, c := range checks() {
		if c.Name == name {
			return c.Work
		}
	}
	t.Fatalf("there is no check %s", name)
	return Work{}
}

// right is a summary as the check's work makes it where all is read back.
func right(t *testing.T, name string) *report.Summary {
	t.Helper()
	w := workOf(t, name)
	s := &report.Summary{Status: results.StatusComplete, Verdict: report.VerdictPassed}
	s.Health.State = report.HealthValid
	s.Audit.Available = true
	s.Audit.Classes = results.Classes{Expected: w.expected(), Delivered: w.expected()}
	s.Latency.E2E = report.Latency{Count: w.expected(), MinNS: ms / 5, P50NS: ms / 2, P99NS: 2 * ms, MaxNS: 5 * ms}
	switch name {
	case "delay":
		s.Latency.E2E = report.Latency{Count: w.expected(), MinNS: 20*ms + 1, P50NS: 20*ms + ms/2, P99NS: 22 * ms, MaxNS: 25 * ms}
	case "audit":
		s.Verdict = report.VerdictBroken
		s.Audit.Classes = results.Classes{Expected: 4000, Delivered: 3840, Lost: 160, Duplicate: 160, Reordered: 160}
	case "stop":
		s.Latency.E2E = report.Latency{Count: w.expected(), MinNS: ms / 5, P50NS: ms / 2, P99NS: 461 * ms, MaxNS: 501 * ms}
	case "own-stop":
		sick(s, report.HealthInvalid, "send_lag")
		s.Latency.E2E = report.Latency{Count: w.expected(), MinNS: ms / 5, P50NS: ms / 2, P99NS: 461 * ms, MaxNS: 501 * ms}
		s.Latency.E2EUncorrected = report.Latency{Count: w.expected(), MinNS: ms / 5, P50NS: ms / 2, P99NS: 9 * ms, MaxNS: 12 * ms}
	case "capacity":
		s.Latency.E2E.MaxNS = 2001 * ms
	}
	return s
}

// sick makes a run invalid or doubtful.
func sick(s *report.Summary, state report.HealthState, code string) {
	s.Health.State = state
	s.Health.Reasons = append(s.Health.Reasons, report.HealthReason{Remark: report.Remark{Code: code, Text: "because of " + code}, State: state})
}

// TestJudges: what is read back is ok; each figure that is not what was planted fails; what a busy machine explains is told to
// be untold, and what nothing explains fails whatever the machine does.
func TestJudges(t *testing.T) {
	sameFlow := flow{Arrived: 1000, Growth: 500}
	for _, c := range []struct {
		check, name string
		change      func(got, clean *report.Summary, f *flow)
		want        doctor.State
		text        string
	}{
		{"clean", "as planted", nil, doctor.OK, "all 2400 deliveries once and in order"},
		{"clean", "one lost", func(s, _ *report.Summary, _ *flow) { s.Audit.Delivered--; s.Audit.Lost++ }, doctor.Fail, "read back 1 lost, 0 twice, 0 out of order of 2400"},
		{"clean", "one too few due", func(s, _ *report.Summary, _ *flow) { s.Audit.Delivered--; s.Audit.Expected-- }, doctor.Fail, "of 2400; read back"},
		{"clean", "one stray", func(s, _ *report.Summary, _ *flow) { s.Audit.Stray++ }, doctor.Fail, "1 stray"},
		{"clean", "a defect", func(s, _ *report.Summary, _ *flow) { s.Audit.Defects = []string{"the sum is off"} }, doctor.Fail, "the sum is off"},
		{"clean", "late", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "send_lag") }, doctor.Warn, "could not be told: because of send_lag"},
		{"clean", "invalid otherwise", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "unsent") }, doctor.Fail, "because of unsent"},
		{"clean", "late and invalid otherwise", func(s, _ *report.Summary, _ *flow) {
			sick(s, report.HealthInvalid, "send_lag")
			sick(s, report.HealthInvalid, "unsent")
		}, doctor.Fail, "because of unsent"},
		{"clean", "the clock was set", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "clock_step") }, doctor.Warn, "could not be told: because of clock_step"},
		{"clean", "one unseen on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Audit.Delivered, s.Audit.Unseen = s.Audit.Delivered-1, 1
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Warn, "1 unseen, which was on its way"},
		{"clean", "unseen and a defect on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Audit.Delivered, s.Audit.Unseen, s.Audit.Defects = s.Audit.Delivered-1, 1, []string{"the sum is off"}
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Fail, "1 unseen; the sum is off"},
		{"clean", "unseen and twice on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Audit.Delivered, s.Audit.Unseen, s.Audit.Duplicate = s.Audit.Delivered-1, 1, 1
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Fail, "read back 0 lost, 1 twice"},
		{"clean", "unseen and lost on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Audit.Delivered, s.Audit.Unseen, s.Audit.Lost = s.Audit.Delivered-2, 1, 1
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Fail, "read back 1 lost"},
		{"clean", "doubtful", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthDoubtful, "machine_busy") }, doctor.Warn, "because of machine_busy"},

		{"delay", "as planted", nil, doctor.OK, "p50 20.5ms, 20ms above that without (500µs)"},
		{"delay", "at the tolerance", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P50NS += 2 * ms }, doctor.OK, "within 2ms"},
		{"delay", "beyond it", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P50NS += 2*ms + 1 }, doctor.Fail, "wrong by 2ms, more than 2ms"},
		{"delay", "a median too early", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P50NS -= 3 * ms }, doctor.Fail, "wrong by -3ms"},
		{"delay", "beyond it on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Latency.E2E.P50NS += 9 * ms
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Warn, "could not be told: planted 20ms"},
		{"delay", "all too late on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Latency.E2E.MinNS = 30 * ms
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Fail, "29.8ms above that without: wrong by 9.8ms"},
		{"delay", "one too early", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.MinNS = 20*ms - 1 }, doctor.Fail, "less than what it must be"},
		{"delay", "one too early on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Latency.E2E.MinNS = 19 * ms
			sick(s, report.HealthInvalid, "send_lag")
		}, doctor.Fail, "less than what it must be"},
		{"delay", "late", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "send_lag") }, doctor.Warn, "because of send_lag"},
		{"delay", "the other run was late", func(_, clean *report.Summary, _ *flow) { sick(clean, report.HealthInvalid, "send_lag") }, doctor.Warn,
			"could not be told: the run without the delay is not to be compared with: because of send_lag"},
		{"delay", "nothing measured", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E = report.Latency{} }, doctor.Fail, "0 latencies were measured of 2400 deliveries"},

		{"audit", "as planted", nil, doctor.OK, "160 lost, 160 twice, 160 out of order of 4000"},
		{"audit", "late", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "send_lag") }, doctor.OK, "read back to the message"},
		{"audit", "one lost less", func(s, _ *report.Summary, _ *flow) { s.Audit.Delivered++; s.Audit.Lost-- }, doctor.Fail, "read back 159 lost"},
		{"audit", "one twice more", func(s, _ *report.Summary, _ *flow) { s.Audit.Duplicate++ }, doctor.Fail, "161 twice"},
		{"audit", "one swapped less", func(s, _ *report.Summary, _ *flow) { s.Audit.Reordered-- }, doctor.Fail, "159 out of order"},
		{"audit", "lost is unseen", func(s, _ *report.Summary, _ *flow) { s.Audit.Lost, s.Audit.Unseen = 159, 1 }, doctor.Fail, "1 unseen"},
		{"audit", "lost is unseen on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Audit.Lost, s.Audit.Unseen = 159, 1
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Warn, "1 unseen, which was on its way when the drain was over (because of machine_busy)"},
		{"audit", "not available", func(s, _ *report.Summary, _ *flow) { s.Audit.Available = false }, doctor.Fail, "planted 160 lost"},
		{"audit", "passed all the same", func(s, _ *report.Summary, _ *flow) { s.Verdict = report.VerdictPassed }, doctor.Fail, "and the run passed"},

		{"stop", "as planted", nil, doctor.OK, "longest 501ms, p99 461ms where 460ms follow"},
		{"stop", "hidden", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.MaxNS = 480 * ms }, doctor.Fail, "it is hidden"},
		{"stop", "hidden on a busy machine", func(s, _ *report.Summary, _ *flow) {
			s.Latency.E2E.MaxNS = 480 * ms
			sick(s, report.HealthInvalid, "send_lag")
		}, doctor.Fail, "it is hidden"},
		{"stop", "one message a client", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P99NS = 2 * ms }, doctor.Fail, "wrong by more than 10%"},
		{"stop", "longer", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.MaxNS = 551 * ms }, doctor.Fail, "longer than the stop"},
		{"stop", "late", func(s, _ *report.Summary, _ *flow) { sick(s, report.HealthInvalid, "send_lag") }, doctor.Warn, "because of send_lag"},

		{"own-stop", "as planted", nil, doctor.OK, "corrected longest 501ms, p99 461ms where 460ms follow; uncorrected p99 9ms; the run is invalid, as it must be"},
		{"own-stop", "not corrected", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E = s.Latency.E2EUncorrected }, doctor.Fail, "it is hidden"},
		{"own-stop", "p99 not corrected", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P99NS = 9 * ms }, doctor.Fail, "it is hidden"},
		{"own-stop", "said to be valid", func(s, _ *report.Summary, _ *flow) {
			s.Health.State, s.Health.Reasons = report.HealthValid, nil
		}, doctor.Fail, "health is valid: nothing is found wrong with it"},
		{"own-stop", "both alike", func(s, _ *report.Summary, _ *flow) { s.Latency.E2EUncorrected.P99NS = 400 * ms }, doctor.Fail, "the two should be apart"},
		{"own-stop", "longer", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.P99NS = 600 * ms }, doctor.Fail, "wrong by more than 10%"},
		{"own-stop", "on a busy machine", func(s, _ *report.Summary, _ *flow) {
			busy := 0.99
			s.Latency.E2EUncorrected.P99NS, s.Health.Figures.MachineBusy = 400*ms, &busy
		}, doctor.Warn, "the machine was 99.0% busy"},

		{"capacity", "as planted", nil, doctor.OK, "1000 deliveries/s of 1500 due; 1000/s arrived; the backlog grew by 500/s where 500 follow"},
		{"capacity", "within", func(_, _ *report.Summary, f *flow) { f.Arrived, f.Growth = 981, 529 }, doctor.OK, "981/s arrived"},
		{"capacity", "less arrived", func(_, _ *report.Summary, f *flow) { f.Arrived = 979 }, doctor.Fail, "arrivals are wrong by more than 2%"},
		{"capacity", "more arrived", func(_, _ *report.Summary, f *flow) { f.Arrived = 1021 }, doctor.Fail, "arrivals are wrong by more than 2%"},
		{"capacity", "no backlog", func(_, _ *report.Summary, f *flow) { f.Growth = 0 }, doctor.Fail, "the growth is wrong"},
		{"capacity", "the wait is hidden", func(s, _ *report.Summary, _ *flow) { s.Latency.E2E.MaxNS = 1000 * ms }, doctor.Fail, "the longest latency is wrong"},
		{"capacity", "less on a busy machine", func(s, _ *report.Summary, f *flow) {
			f.Arrived = 900
			sick(s, report.HealthDoubtful, "machine_busy")
		}, doctor.Warn, "could not be told"},
	} {
		t.Run(c.check+", "+c.name, func(t *testing.T) {
			got, clean, f := right(t, c.check), right(t, "clean"), sameFlow
			if c.change != nil {
				c.change(got, clean, &f)
			}
			found := judged(t, c.check, got, clean, f)
			if found.State != c.want || !strings.Contains(found.Text, c.text) {
				t.Errorf("got %s: %s; want %s with %q", found.State, found.Text, c.want, c.text)
			}
			if found.State != doctor.OK && found.Mend == "" {
				t.Error("got no mend")
			}
		})
	}
}

// TestJudgesCount: whatever the times say, a run that lost deliveries, or measured fewer latencies than it had, passes no check,
// and where the clock was set no time is judged.
func TestJudgesCount(t *testing.T) {
	for _, name := range []string{"delay", "stop", "own-stop", "capacity"} {
		for _, c := range []struct {
			change func(*report.Summary)
			want   doctor.State
			text   string
		}{
			{func(s *report.Summary) { s.Audit.Lost, s.Audit.Delivered = s.Audit.Expected/2, s.Audit.Expected/2 }, doctor.Fail, "planted 0 lost, "},
			{func(s *report.Summary) { s.Latency.E2E.Count /= 2 }, doctor.Fail, " latencies were measured of "},
			{func(s *report.Summary) {
				s.Latency.E2E.MinNS, s.Latency.E2E.MaxNS = -ms, 0
				sick(s, report.HealthInvalid, clockSet)
			}, doctor.Warn, "could not be told: because of clock_step"},
		} {
			got := right(t, name)
			c.change(got)
			for _, check := range checks() {
				if check.Name != name {
					continue
				}
				// The run directory is never reached.
				found := check.judge(check.Work, &Measured{Summary: got, Stopped: check.OwnStopFor}, right(t, cleanCheck))
				if found.State != c.want || !strings.Contains(found.Text, c.text) {
					t.Errorf("%s: got %s: %s; want %s with %q", name, found.State, found.Text, c.want, c.text)
				}
			}
		}
	}
}

// judged judges what the check's run has measured.
func judged(t *testing.T, name string, got, clean *report.Summary, f flow) doctor.Finding {
	t.Helper()
	if name == "capacity" {
		if found := incomplete(workOf(t, name), got); found != nil {
			return *found
		}
		if found := unfit(got); found != nil {
			return *found
		}
		return judgeFlow(workOf(t, name), f, got)
	}
	for _, c := range checks() {
		if c.Name == name {
			return c.judge(c.Work, &Measured{Summary: got, Stopped: c.OwnStopFor}, clean)
		}
	}
	t.Fatalf("there is no check %s", name)
	return doctor.Finding{}
}

// TestRun: checks come in order, each on its own target; what can't be run or does not end fails, with the reason.
func TestRun(t *testing.T) {
	var ran, told []string
	o := Options{
		Target: []string{"/bin/weir", "child", "null-target"},
		Run: func(_ context.Context, plan *scenarios.Plan) (*Measured, error) {
			ran = append(ran, strings.Join(plan.Gateway.Command.Args, " "))
			name := strings.TrimPrefix(plan.Name, "null-target-")
			switch name {
			case "delay":
				return nil, errors.New("no room")
			case "stop":
				return &Measured{Summary: &report.Summary{Status: results.StatusPartial, Run: report.RunInfo{Error: "the target died"}}}, nil
			case "capacity":
				return &Measured{Summary: right(t, name), Dir: t.TempDir()}, nil
			}
			return &Measured{Summary: right(t, name)}, nil
		},
		RunStopped: func(_ context.Context, name, scenario string, after, stop time.Duration) (*Measured, error) {
			ran = append(ran, name)
			parsed, err := scenarios.Parse(name, []byte(scenario), scenarios.Options{})
			if err != nil {
				return nil, err
			}
			if plan, err := parsed.Resolve(); err != nil || plan.Name != name || after != 1500*time.Millisecond {
				return nil, errors.Join(err, errors.New("not as planned"))
			}
			return &Measured{Summary: right(t, "own-stop"), Stopped: stop}, nil
		},
		Tell: func(f doctor.Finding) { told = append(told, string(f.State)+" "+f.Check+" "+f.Text) },
		Instead: func(check string, told nulltarget.Faults) nulltarget.Faults {
			if check == "audit" {
				told.DropEach = 50
			}
			return told
		},
	}
	found := Run(t.Context(), o)
	if len(found) != 6 || len(told) != 6 {
		t.Fatalf("got %d findings, %d told; want 6", len(found), len(told))
	}
	for i, want := range []string{"ok clean nothing planted", "fail delay the run could not be made: no room", "ok audit ",
		"fail stop the run did not come to its end: the target died", "ok own-stop the generator was stopped for 500ms", "fail capacity how much flowed can't be read: "} {
		if !strings.HasPrefix(told[i], want) {
			t.Errorf("got %q; want %q", told[i], want)
		}
	}
	common := "/bin/weir child null-target --listen 127.0.0.1:{port} --seeds {seeds} --topics {topics}"
	want := []string{common, common + " --delay 20ms", common + " --drop-each 50 --duplicate-each 25 --swap-each 25",
		common + " --stop-after 1.5s --stop-for 500ms", "null-target-own-stop", common + " --capacity 1000"}
	if !slices.Equal(ran, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(ran, "\n"), strings.Join(want, "\n"))
	}
}

// TestRunEnds: an interrupt ends the checks, and what it cut short is not told.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	found := Run(ctx, Options{Run: func(_ context.Context, plan *scenarios.Plan) (*Measured, error) {
		if plan.Name == "null-target-delay" {
			cancel()
		}
		return &Measured{Summary: right(t, strings.TrimPrefix(plan.Name, "null-target-"))}, nil
	}, Target: []string{"weir"}, Only: []string{"clean", "delay", "audit"}})
	if len(found) != 1 || found[0].Check != "clean" {
		t.Errorf("got %v; want the check alone that came to its end", found)
	}
}

// TestRunHangs: a run that is not over within its bound fails, and is no excuse for the next; a check that never began is untold.
func TestRunHangs(t *testing.T) {
	var bounds []time.Duration
	hangs := func(ctx context.Context, plan *scenarios.Plan) (*Measured, error) {
		deadline, _ := ctx.Deadline()
		bounds = append(bounds, time.Until(deadline).Round(time.Second))
		if plan.Name == "null-target-clean" {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		return &Measured{Summary: right(t, strings.TrimPrefix(plan.Name, "null-target-"))}, nil
	}
	o := Options{Run: hangs, Target: []string{"weir"}, Only: []string{"clean", "audit"}, Within: time.Hour, Each: time.Millisecond}
	found := Run(t.Context(), o)
	if found[0].State != doctor.Fail || found[0].Text != "the run was not over within 1ms" || len(found) != 2 {
		t.Errorf("got %v; want the first to fail by its bound", found)
	}
	o.Within, o.Each = time.Nanosecond, time.Hour
	for _, f := range Run(t.Context(), o) {
		if f.State != doctor.Warn || !strings.Contains(f.Text, "were over before it began") {
			t.Errorf("got %v; want it untold", f)
		}
	}
	bounds, o.Within, o.Each, o.Only = nil, 0, 0, []string{"audit"}
	if Run(t.Context(), o); !slices.Equal(bounds, []time.Duration{19 * time.Second}) {
		t.Errorf("got bounds %v; want 4 s of load, 5 s of drain, and 10 s to start", bounds)
	}
}

// TestPlans: each check's plan is one that a run takes, sends what the check says, and lets every record that is swapped have a
// next one.
func TestPlans(t *testing.T) {
	for _, c := range checks() {
		plan, err := c.plan([]string{"weir"})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if got := plan.Producers[0].Rate.From * float64(plan.ClientCount()) / float64(c.Keys); got != c.PerSecond() {
			t.Errorf("%s: got %v deliveries/s; want %v", c.Name, got, c.PerSecond())
		}
		if n := float64(c.Rate) * c.Length.Seconds() / float64(c.Keys); n != math.Trunc(n) || int64(n) != c.perClient() {
			t.Errorf("%s: got %d messages a client; want %v, the same for each", c.Name, c.perClient(), n)
		}
		if plan.Phases.WarmUp > 0 && c.Faults != (nulltarget.Faults{Delay: c.Faults.Delay}) {
			t.Errorf("%s: it has a warm-up, in which the target would count as well", c.Name)
		}
		for _, each := range []int{c.Faults.DropEach, c.Faults.DuplicateEach, c.Faults.SwapEach} {
			if each > 0 && c.perClient()%int64(each) != 0 {
				t.Errorf("%s: %d messages a client are not a multiple of %d", c.Name, c.perClient(), each)
			}
		}
		if err := c.Faults.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	plan, err := Work{Name: "echo", Clients: 100, Keys: 100, Rate: 10, Length: time.Second, Echo: true, DialRate: 5, Every: time.Minute}.plan(nil)
	if err != nil {
		t.Fatal(err)
	}
	if g := plan.Clients[0]; g.Publish == nil || g.Publish.Keys != 100 || g.Publish.Rate.From != 10 || g.ConnectRate != 5 || plan.IntervalNS != time.Minute {
		t.Errorf("got %+v, interval %v; want 100 clients that publish 10 messages a second each", g, plan.IntervalNS)
	}
}

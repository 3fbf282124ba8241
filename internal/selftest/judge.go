package selftest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

// How near a figure must be to what was planted.
const (
	delayLeast   = time.Millisecond // a delay may be read back wrong by so much
	delayShare   = 0.10             // or by this share of it, where that is more
	stopShare    = 0.10             // likewise of the stop's p99
	stopShortBy  = 0.02             // the longest latency may be less than the stop by this share, the time between two messages in it
	flowShare    = 0.02             // of the deliveries a second
	stopQuantile = 0.99
	busyShare    = 0.90 // of the machine's time: from here on a run's own lateness is not told from the machine's
)

// The mends.
const (
	mendRun    = "run weir doctor for what this machine lacks, and weir run quickstart for a run by itself"
	mendDefect = "this is a defect of weir, or of its null target: please report it with the run directory"
	mendNoise  = "this machine can't measure to that: close what else runs on it, run weir doctor, and try again"
	mendBusy   = "close what else runs on this machine, and try again"
)

func passed(format string, args ...any) doctor.Finding {
	return doctor.Finding{State: doctor.OK, Text: fmt.Sprintf(format, args...)}
}

func failed(mend, format string, args ...any) doctor.Finding {
	return doctor.Finding{State: doctor.Fail, Mend: mend, Text: fmt.Sprintf(format, args...)}
}

// untold is a check that says nothing.
func untold(format string, args ...any) doctor.Finding {
	return doctor.Finding{State: doctor.Warn, Mend: mendBusy, Text: "could not be told: " + fmt.Sprintf(format, args...)}
}

// late is why nothing can be told about times, where the generator did not keep its schedule, or the machine's clock was set, and
// nothing else is invalid.
func late(s *report.Summary) (why string, is bool) {
	for _, r := range s.Health.Reasons {
		if r.State != report.HealthInvalid {
			continue
		}
		if r.Code != "send_lag" && r.Code != clockSet {
			return "", false
		}
		why = r.Text
	}
	return why, why != ""
}

// clockSet is the reason's code where the machine's clock was set during the run, which time services do.
const clockSet = "clock_step"

// invalidBy is the text of the run's reason of that code; "" where it is not invalid by it.
func invalidBy(s *report.Summary, code string) string {
	for _, r := range s.Health.Reasons {
		if r.State == report.HealthInvalid && r.Code == code {
			return r.Text
		}
	}
	return ""
}

// incomplete is the finding about a run, whose target is to lose nothing, that says nothing about times: deliveries are not
// accounted for or not measured, or the clock was set; nil where it is neither.
func incomplete(w Work, s *report.Summary) *doctor.Finding {
	if f := accounted(w.expected(), 0, 0, 0, s); f != nil {
		return f
	}
	if n := s.Latency.E2E.Count; n != s.Audit.Delivered {
		f := failed(mendDefect, "%d latencies were measured of %d deliveries", n, s.Audit.Delivered)
		return &f
	}
	if why := invalidBy(s, clockSet); why != "" {
		f := untold("%s", why)
		return &f
	}
	return nil
}

// unfit is the finding about a run whose times can't be judged; nil where they can.
func unfit(s *report.Summary) *doctor.Finding {
	if why, is := late(s); is {
		f := untold("%s", why)
		return &f
	}
	if s.Health.State == report.HealthInvalid {
		f := failed(mendDefect, "the run is invalid: %s", healthReasons(s))
		return &f
	}
	return nil
}

// inexact is the finding about a figure that is not what was planted, and is no proof of a defect: where the run's health is
// less than valid it tells nothing, else that this machine can't measure to that.
func inexact(s *report.Summary, format string, args ...any) doctor.Finding {
	if s.Health.State != report.HealthValid {
		return untold("%s (%s)", fmt.Sprintf(format, args...), healthReasons(s))
	}
	return failed(mendNoise, format, args...)
}

func healthReasons(s *report.Summary) string {
	var texts []string
	for _, r := range s.Health.Reasons {
		texts = append(texts, r.Text)
	}
	return strings.Join(texts, "; ")
}

// judgeClean: with nothing planted there is nothing to be found.
func judgeClean(w Work, got *Measured, _ *report.Summary) doctor.Finding {
	s := got.Summary
	if f := accounted(w.expected(), 0, 0, 0, s); f != nil {
		return *f
	}
	if f := unfit(s); f != nil {
		return *f
	}
	if s.Health.State != report.HealthValid {
		return untold("the run is doubtful: %s", healthReasons(s))
	}
	return passed("nothing planted, and nothing found: all %d deliveries once and in order, health valid, p50 %s, p99 %s", w.expected(),
		span(s.Latency.E2E.P50NS), span(s.Latency.E2E.P99NS))
}

// accounted compares the account with what was planted: nil where they agree.
func accounted(expected, lost, duplicate, reordered int64, s *report.Summary) *doctor.Finding {
	want := results.Classes{Expected: expected, Delivered: expected - lost, Lost: lost, Duplicate: duplicate, Reordered: reordered}
	if len(s.Audit.Defects) == 0 && s.Audit.Available && s.Audit.Classes == want {
		return nil
	}
	f := failed(mendDefect, "planted %s; read back %s", classesText(want), classesText(s.Audit.Classes))
	if s.Health.State != report.HealthValid && underWay(want, s.Audit) {
		f = untold("%s, which was on its way when the drain was over (%s)", f.Text, healthReasons(s))
		return &f
	}
	if len(s.Audit.Defects) > 0 {
		f.Text += "; " + strings.Join(s.Audit.Defects, "; ")
	}
	return &f
}

// underWay reports whether the account is what was planted but for deliveries that were not seen when the drain was over.
func underWay(want results.Classes, got report.AuditSummary) bool {
	if len(got.Defects) > 0 || !got.Available || got.Unseen == 0 || got.Lost > want.Lost || got.Delivered > want.Delivered {
		return false
	}
	rest := got.Classes
	rest.Delivered, rest.Lost, rest.Unseen = want.Delivered, want.Lost, want.Unseen
	return rest == want && got.Holds()
}

func classesText(c results.Classes) string {
	text := fmt.Sprintf("%d lost, %d twice, %d out of order of %d", c.Lost, c.Duplicate, c.Reordered, c.Expected)
	for _, other := range []struct {
		n    int64
		name string
	}{{c.Unseen, "unseen"}, {c.Shed, "shed"}, {c.Undetermined, "undetermined"}, {c.Corrupt, "corrupt"}, {c.Stray, "stray"}, {c.Early, "early"},
		{c.Foreign, "foreign"}} {
		if other.n > 0 {
			text += fmt.Sprintf(", %d %s", other.n, other.name)
		}
	}
	return text
}

// judgeAudit: what was planted is read back to the message, however late the machine is.
func judgeAudit(w Work, got *Measured, _ *report.Summary) doctor.Finding {
	times := func(each int) int64 {
		if each == 0 {
			return 0
		}
		return w.perClient() / int64(each) * int64(w.Clients)
	}
	lost, duplicate, reordered := times(w.Faults.DropEach), times(w.Faults.DuplicateEach), times(w.Faults.SwapEach)
	if f := accounted(w.expected(), lost, duplicate, reordered, got.Summary); f != nil {
		return *f
	}
	if got.Summary.Audit.Lost > 0 && got.Summary.Verdict == report.VerdictPassed {
		return failed(mendDefect, "%d deliveries are lost, and the run passed", lost)
	}
	return passed("planted and read back to the message: %s", classesText(got.Summary.Audit.Classes))
}

// judgeDelay: no delivery comes before its delay, and the median is later by the delay than without it.
func judgeDelay(w Work, got *Measured, clean *report.Summary) doctor.Finding {
	e2e, planted := got.Summary.Latency.E2E, w.Faults.Delay
	if f := incomplete(w, got.Summary); f != nil {
		return *f
	}
	if e2e.MinNS < int64(planted) {
		return failed(mendDefect, "planted %v; the least latency is %s, less than what it must be", planted, span(e2e.MinNS))
	}
	if f := unfit(got.Summary); f != nil {
		return *f
	}
	if clean == nil {
		return untold("there is no run without the delay to compare with")
	}
	if f := unfit(clean); f != nil {
		return untold("the run without the delay is not to be compared with: %s", strings.TrimPrefix(f.Text, "could not be told: "))
	}
	excess := e2e.P50NS - clean.Latency.E2E.P50NS
	tolerance := max(int64(delayLeast), int64(delayShare*float64(planted)))
	figures := fmt.Sprintf("planted %v; p50 %s, %s above that without (%s); the least %s", planted, span(e2e.P50NS), span(excess),
		span(clean.Latency.E2E.P50NS), span(e2e.MinNS))
	// The least of thousands is what it is on a busy machine, too.
	if off := e2e.MinNS - clean.Latency.E2E.MinNS - int64(planted); off > tolerance {
		return failed(mendNoise, "%s, %s above that without: wrong by %s, more than %s", figures, span(e2e.MinNS-clean.Latency.E2E.MinNS), span(off), span(tolerance))
	}
	if off := excess - int64(planted); off > tolerance || off < -tolerance {
		return inexact(got.Summary, "%s: wrong by %s, more than %s", figures, span(off), span(tolerance))
	}
	return passed("%s; within %s", figures, span(tolerance))
}

// judgeStop: a stop of the target is in the latency of all that was due in it, and not of one message a client. Of T seconds
// of even load, the share that waits longer than x for the end of a stop of length L is (L − x) / T.
func judgeStop(w Work, got *Measured, _ *report.Summary) doctor.Finding {
	e2e, stop := got.Summary.Latency.E2E, w.Faults.StopFor
	wantP99 := float64(stop) - (1-stopQuantile)*float64(w.Length)
	figures := fmt.Sprintf("planted a stop of %v; longest %s, p99 %s where %s follow", stop, span(e2e.MaxNS), span(e2e.P99NS), span(int64(wantP99)))
	if f := incomplete(w, got.Summary); f != nil {
		return *f
	}
	if float64(e2e.MaxNS) < (1-stopShortBy)*float64(stop) {
		return failed(mendDefect, "%s: it is hidden", figures)
	}
	if f := unfit(got.Summary); f != nil {
		return *f
	}
	if math.Abs(float64(e2e.P99NS)-wantP99) > stopShare*wantP99 {
		return inexact(got.Summary, "%s: wrong by more than %.0f%%", figures, 100*stopShare)
	}
	if float64(e2e.MaxNS) > (1+stopShare)*float64(stop) {
		return inexact(got.Summary, "%s: longer than the stop by more than %.0f%%", figures, 100*stopShare)
	}
	return passed("%s", figures)
}

// judgeOwnStop: a stop of the generator itself is in the corrected latency, and not in the uncorrected, which is taken from when
// a message was sent; and the run is told to be invalid, since the load was not what the scenario says.
func judgeOwnStop(w Work, got *Measured, _ *report.Summary) doctor.Finding {
	s, stop := got.Summary, got.Stopped
	corrected, uncorrected := s.Latency.E2E, s.Latency.E2EUncorrected
	wantP99 := float64(stop) - (1-stopQuantile)*float64(w.Length)
	figures := fmt.Sprintf("the generator was stopped for %s; corrected longest %s, p99 %s where %s follow; uncorrected p99 %s", span(int64(stop)),
		span(corrected.MaxNS), span(corrected.P99NS), span(int64(wantP99)), span(uncorrected.P99NS))
	if f := incomplete(w, s); f != nil {
		return *f
	}
	if float64(corrected.MaxNS) < (1-stopShortBy)*float64(stop) || float64(corrected.P99NS) < (1-stopShare)*wantP99 {
		return failed(mendDefect, "%s: it is hidden", figures)
	}
	if _, is := late(s); !is {
		return failed(mendDefect, "%s; health is %s: %s", figures, s.Health.State, firstOf(healthReasons(s), "nothing is found wrong with it"))
	}
	if busy := s.Health.Figures.MachineBusy; busy != nil && *busy > busyShare {
		return untold("%s (the machine was %s busy)", figures, percent(busy))
	}
	switch {
	case float64(corrected.P99NS) > (1+stopShare)*wantP99:
		return failed(mendNoise, "%s: wrong by more than %.0f%%", figures, 100*stopShare)
	case uncorrected.P99NS > corrected.P99NS/2:
		return failed(mendNoise, "%s: the two should be apart", figures)
	}
	return passed("%s; the run is invalid, as it must be", figures)
}

// judgeCapacity: what arrives is what passes, and the backlog grows by the rest.
func judgeCapacity(w Work, got *Measured, _ *report.Summary) doctor.Finding {
	if f := incomplete(w, got.Summary); f != nil {
		return *f
	}
	if f := unfit(got.Summary); f != nil {
		return *f
	}
	read, err := readFlow(got.Dir)
	if err != nil {
		return failed(mendDefect, "how much flowed can't be read: %v", err)
	}
	return judgeFlow(w, read, got.Summary)
}

func judgeFlow(w Work, read flow, s *report.Summary) doctor.Finding {
	capacity, offered := float64(w.Faults.Capacity), w.PerSecond()
	growth := offered - capacity
	// The last delivery is due at the end of the phase, and passes when all before it have.
	longest := time.Duration((offered/capacity - 1) * float64(w.Length))
	figures := fmt.Sprintf("planted %.0f deliveries/s of %.0f due; %.0f/s arrived; the backlog grew by %.0f/s where %.0f follow, the longest latency is %s where %v follow",
		capacity, offered, read.Arrived, read.Growth, growth, span(s.Latency.E2E.MaxNS), longest)
	switch {
	case math.Abs(read.Arrived-capacity) > flowShare*capacity:
		return inexact(s, "%s: arrivals are wrong by more than %.0f%%", figures, 100*flowShare)
	case math.Abs(read.Growth-growth) > flowShare*offered:
		return inexact(s, "%s: the growth is wrong by more than %.0f%% of what was due", figures, 100*flowShare)
	case math.Abs(float64(s.Latency.E2E.MaxNS)-float64(longest)) > stopShare*float64(longest):
		return inexact(s, "%s: the longest latency is wrong by more than %.0f%%", figures, 100*stopShare)
	}
	return passed("%s", figures)
}

// span is a time with three significant digits.
func span(ns int64) string {
	d := time.Duration(ns)
	digits := time.Duration(1)
	for limit := d.Abs(); limit >= 1000*digits; {
		digits *= 10
	}
	return d.Round(digits).String()
}

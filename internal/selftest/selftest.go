package selftest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirbench/weir/internal/doctor"
	"github.com/weirbench/weir/internal/nulltarget"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

const (
	// Limit bounds the runs of a self-test that hang nowhere; with the end of the last it takes a minute.
	Limit = 52 * time.Second
	// startTime is what a run may take beyond its load and drain.
	startTime = 10 * time.Second
)

// Options is what a self-test is made of.
type Options struct {
	Run Runner
	// RunStopped makes the run of a generator that is stopped; nil where a process can't be, and the check is left out.
	RunStopped StoppedRunner
	// Target is the command line that starts a null target, without its flags.
	Target []string
	// Tell is called with each finding as it is made, Progress with a line about what is done now; either may be nil.
	Tell     func(doctor.Finding)
	Progress func(string)
	// Within is until when a check may begin; 0 is Limit. Each bounds its run; 0 is what its work takes, and some seconds to start.
	Within, Each time.Duration
	// Only names the checks that are made; none is all.
	Only []string
	// Instead, where it is set, says what is planted in place of what a check says that it plants. It is for tests: the
	// check must fail then.
	Instead func(check string, told nulltarget.Faults) nulltarget.Faults
}

// check is one run, and what must be read from it.
type check struct {
	Work
	about string
	judge func(w Work, got *Measured, clean *report.Summary) doctor.Finding
}

// cleanCheck is the check whose run the others may be compared with, ownStopCheck the one that needs RunStopped.
const (
	cleanCheck   = "clean"
	ownStopCheck = "own-stop"
)

// The work of the checks is light enough for a machine that does something else beside, and heavy enough that a second has
// hundreds of deliveries. Where the account is compared there is no warm-up, so that the target's counting begins with the
// measure phase.
func checks() []check {
	light := Work{Clients: 40, Keys: 20, Rate: 400, WarmUp: 500 * time.Millisecond, Length: 3 * time.Second}
	single := Work{Clients: 20, Keys: 20, Rate: 1000, Length: 4 * time.Second}
	full := Work{Clients: 40, Keys: 20, Rate: 750, Length: 4 * time.Second}
	with := func(name string, w Work, f nulltarget.Faults) Work {
		w.Name, w.Faults = name, f
		return w
	}
	paused := single
	paused.OwnStopAfter, paused.OwnStopFor = 1500*time.Millisecond, 500*time.Millisecond
	const each = 25 // of 200 records a client
	return []check{
		{with(cleanCheck, light, nulltarget.Faults{}), "nothing planted", judgeClean},
		{with("delay", light, nulltarget.Faults{Delay: 20 * time.Millisecond}), "each record held back", judgeDelay},
		{with("audit", single, nulltarget.Faults{DropEach: each, DuplicateEach: each, SwapEach: each}), "records lost, doubled, swapped", judgeAudit},
		{with("stop", single, nulltarget.Faults{StopAfter: 1500 * time.Millisecond, StopFor: 500 * time.Millisecond}), "the target stops", judgeStop},
		{with(ownStopCheck, paused, nulltarget.Faults{}), "the generator stops", judgeOwnStop},
		{with("capacity", full, nulltarget.Faults{Capacity: 1000}), "half as much again as the target takes", judgeCapacity},
	}
}

// Run makes the checks, in their order, and returns what was found; early, with what there is, when ctx ends.
func Run(ctx context.Context, o Options) []doctor.Finding {
	limited, cancel := context.WithTimeout(ctx, cmp.Or(o.Within, Limit))
	defer cancel()
	found := []doctor.Finding{}
	var clean *report.Summary
	wanted := slices.DeleteFunc(checks(), func(c check) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, c.Name) || c.Name == ownStopCheck && o.RunStopped == nil
	})
	for i, c := range wanted {
		if ctx.Err() != nil {
			break
		}
		if o.Progress != nil {
			o.Progress(fmt.Sprintf("check %d of %d, %s: %s", i+1, len(wanted), c.Name, c.about))
		}
		f, got := untold("the self-test's %v were over before it began", cmp.Or(o.Within, Limit)), (*Measured)(nil)
		if limited.Err() == nil {
			f, got = c.make(ctx, o, clean)
		}
		if ctx.Err() != nil {
			break // what was cut short says nothing
		}
		if c.Name == cleanCheck && got != nil {
			clean = got.Summary
		}
		f.Check = c.Name
		found = append(found, f)
		if o.Tell != nil {
			o.Tell(f)
		}
	}
	return found
}

// bound is how long the work's run may take: one that takes longer hangs.
func (w Work) bound() time.Duration {
	return w.WarmUp + w.Length + w.OwnStopFor + cmp.Or(w.Drain, defaultDrain) + startTime
}

// make makes the check's run and judges it.
func (c check) make(ctx context.Context, o Options, clean *report.Summary) (doctor.Finding, *Measured) {
	planted := c.Work
	if o.Instead != nil {
		planted.Faults = o.Instead(c.Name, planted.Faults)
	}
	bound := cmp.Or(o.Each, c.bound())
	limited, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	got, err := planted.run(limited, o)
	switch {
	case errors.Is(limited.Err(), context.DeadlineExceeded):
		return failed(mendDefect, "the run was not over within %v", bound), nil
	case err != nil:
		return failed(mendRun, "the run could not be made: %v", err), nil
	case got.Summary.Status != results.StatusComplete:
		return failed(mendRun, "the run did not come to its end: %s", firstOf(got.Summary.Run.Error, got.Summary.Run.EndReason, "for no reason that it tells")), nil
	}
	return c.judge(c.Work, got, clean), got
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

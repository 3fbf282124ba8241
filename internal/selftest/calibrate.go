package selftest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
)

const (
	// CalibrateLimit bounds the runs of a calibration; with the end of the last it takes two minutes at most.
	CalibrateLimit = 110 * time.Second
	// stepTime is what is to be left of it for another rate to be tried.
	stepTime = 10 * time.Second

	stepClients = 500
	stepKeys    = 10 // so that a message has 50 deliveries, and what Kafka does is little of it
	firstStep   = 10_000
	lastStep    = 2_000_000
	closeEnough = 1.1  // between the highest rate that holds and the lowest that does not
	achieved    = 0.99 // of the deliveries due must arrive while they are due

	dialClients = 4000
)

// Calibrate measures the null target with nothing planted. It returns what there is when ctx ends, and an error only where
// not even the floor could be measured.
func Calibrate(ctx context.Context, o Options) (*Calibration, error) {
	limited, cancel := context.WithTimeout(ctx, CalibrateLimit)
	defer cancel()
	c := &calibrating{ctx: limited, options: o, found: &Calibration{Steps: []Step{}, Remarks: []string{}}}
	if err := c.floor(); err != nil {
		return nil, err
	}
	c.echo()
	c.dials()
	c.found.Steps = search(func() bool { return !c.failed && c.time() }, c.surely)
	c.found.Ceiling = ceilingOf(c.found.Steps)
	if !c.found.Ceiling.told() && ctx.Err() == nil && !c.failed {
		c.remark("the calibration's %v were over before the ceiling was told to within %.0f%%", CalibrateLimit, 100*(closeEnough-1))
	}
	return c.found, nil
}

// calibrating is a calibration under way.
type calibrating struct {
	ctx         context.Context // of the call that it lives in
	options     Options
	found       *Calibration
	descriptors int64 // the generator's limit; 0 where it is not known
	failed      bool  // a step could not be made
}

// time reports whether there is enough left for another run.
func (c *calibrating) time() bool {
	deadline, _ := c.ctx.Deadline()
	return c.ctx.Err() == nil && time.Until(deadline) > stepTime
}

func (c *calibrating) remark(format string, args ...any) {
	c.found.Remarks = append(c.found.Remarks, fmt.Sprintf(format, args...))
}

func (c *calibrating) say(format string, args ...any) {
	if c.options.Progress != nil {
		c.options.Progress(fmt.Sprintf(format, args...))
	}
}

// run makes the work's run, which must come to its end.
func (c *calibrating) run(w Work) (*Measured, error) {
	got, err := w.run(c.ctx, c.options)
	if err != nil {
		return nil, err
	}
	if s := got.Summary; s.Status != results.StatusComplete {
		return nil, errors.New(firstOf(s.Run.Error, s.Run.EndReason, "the run did not come to its end"))
	}
	return got, nil
}

func (c *calibrating) floor() error {
	w := Work{Name: "floor", Clients: 100, Keys: 10, Rate: 100, WarmUp: time.Second, Length: 4 * time.Second}
	c.say("floor: %d clients, %s deliveries/s", w.Clients, thousands.Rounded(w.PerSecond()))
	got, err := c.run(w)
	if err != nil {
		return fmt.Errorf("measure the floor: %w", err)
	}
	s := got.Summary
	c.found.AtNS = s.Run.StartedAtNS
	if e := s.Environment; e != nil {
		c.found.WeirVersion, c.found.Cores, c.found.CPU, c.found.Kernel = e.WeirVersion, e.Cores, e.CPU, e.Kernel
	}
	if r := s.Health.Figures.Record; r != nil {
		c.descriptors = r.DescriptorsLimit
	}
	c.found.Floor = c.floorOf("the floor", w, s, s.Latency.E2E)
	return nil
}

// floorOf is what the run has measured; nil where it measured nothing, or not all that was due came.
func (c *calibrating) floorOf(name string, w Work, s *report.Summary, l report.Latency) *Floor {
	switch {
	case l.Count == 0:
		c.remark("%s could not be measured: its run has no latency", name)
		return nil
	case !s.Audit.Available || len(s.Audit.Defects) > 0 || s.Audit.Missing() > 0:
		c.remark("%s could not be measured: %s", name, strings.Join(append([]string{classesText(s.Audit.Classes)}, s.Audit.Defects...), "; "))
		return nil
	}
	if s.Health.State != report.HealthValid {
		c.remark("%s is that of a machine that does something else: %s", name, healthReasons(s))
	}
	return &Floor{Clients: w.Clients, PerS: w.PerSecond(), P50NS: l.P50NS, P99NS: l.P99NS, Health: s.Health.State}
}

func (c *calibrating) echo() {
	w := Work{Name: "echo", Clients: 100, Keys: 100, Rate: 10, WarmUp: time.Second, Length: 4 * time.Second, Echo: true}
	if !c.time() {
		c.remark("there was no time to measure the echo")
		return
	}
	c.say("echo: %d clients publish and read it back, %s a second", w.Clients, thousands.Rounded(w.PerSecond()))
	got, err := c.run(w)
	if err != nil {
		c.remark("the echo could not be measured: %v", err)
		return
	}
	c.found.Echo = c.floorOf("the echo", w, got.Summary, got.Summary.Latency.RoundTrip)
}

func (c *calibrating) dials() {
	w := Work{Name: "dials", Clients: dialClients, Keys: 10, Rate: 1, Length: time.Second, Every: 20 * time.Millisecond, DialRate: 1e6}
	if c.descriptors > 0 {
		w.Clients = min(w.Clients, int(c.descriptors/4)/w.Keys*w.Keys)
	}
	if !c.time() {
		c.remark("there was no time to measure the dials")
		return
	}
	c.say("dials: %s clients as fast as they can", thousands.Of(w.Clients))
	got, err := c.run(w)
	if err == nil {
		var rate float64
		if rate, err = readDials(got.Dir); err == nil {
			c.found.Dials = &Dials{Clients: w.Clients, PerS: rate}
			return
		}
	}
	c.remark("the dials could not be measured: %v", err)
}

// surely tries a rate, in deliveries a second, and one that does not hold once more: a moment in which the machine did something
// else is no ceiling. false ends the search.
func (c *calibrating) surely(perS int) (Step, bool) {
	first, ok := c.step(perS, "")
	if !ok || first.Turned == "" || !c.time() {
		return first, ok
	}
	again, ok := c.step(perS, "-again")
	if !ok {
		return first, true // what is known of it
	}
	if again.Turned == "" {
		c.remark("%s deliveries/s held at the second try; at the first: %s", thousands.Rounded(again.PerS), first.Turned)
	}
	return again, true
}

// step tries a rate once. One whose run can't be made tells nothing about the rate: it is a remark, and false.
func (c *calibrating) step(perS int, try string) (Step, bool) {
	perMessage := stepClients / stepKeys
	w := Work{
		Name: fmt.Sprintf("step-%d%s", perS, try), Clients: stepClients, Keys: stepKeys, Rate: max(1, perS/perMessage),
		WarmUp: time.Second, Length: 3 * time.Second, Every: 500 * time.Millisecond, Drain: 2 * time.Second,
	}
	c.say("ceiling: %s deliveries/s", thousands.Rounded(w.PerSecond()))
	got, err := c.run(w)
	if c.ctx.Err() != nil {
		return Step{}, false
	}
	var read flow
	if err == nil {
		read, err = readFlow(got.Dir)
	}
	if err != nil {
		c.failed = true
		c.remark("%s deliveries/s could not be tried, nor any further rate: %v", thousands.Rounded(w.PerSecond()), err)
		return Step{}, false
	}
	return stepOf(w, got.Summary, read), true
}

// stepOf judges a rate: it turns where the generator's health is invalid, or less arrives than is due.
func stepOf(w Work, s *report.Summary, read flow) Step {
	step := Step{
		PerS: w.PerSecond(), Achieved: read.Arrived / w.PerSecond(), Health: s.Health.State, P50NS: s.Latency.E2E.P50NS, P99NS: s.Latency.E2E.P99NS,
		TargetUS: s.Resources.GatewayCPUPerDelivery, MachineBusy: s.Resources.MachineBusyMean,
	}
	if cores := s.Resources.Generator.CPUMean; cores != nil && read.Arrived > 0 {
		us := *cores / read.Arrived * 1e6
		step.GeneratorUS = &us
	}
	switch {
	case s.Health.State == report.HealthInvalid:
		step.Turned = healthReasons(s)
	case step.Achieved < achieved:
		step.Turned = fmt.Sprintf("%s/s of %s/s arrived", thousands.Rounded(read.Arrived), thousands.Rounded(step.PerS))
	}
	return step
}

// search doubles the rate until one does not hold, and halves the distance until the two are close. try is called with
// rates in deliveries a second, while more says that there is time.
func search(more func() bool, try func(perS int) (Step, bool)) []Step {
	steps := []Step{}
	held, turned := 0, 0
	for next := firstStep; more(); {
		step, ok := try(next)
		if !ok {
			break
		}
		steps = append(steps, step)
		if step.Turned == "" {
			held = next
		} else {
			turned = next
		}
		switch {
		case turned == 0 && held >= lastStep:
			return steps
		case turned == 0:
			next = min(2*held, lastStep)
		case held == 0 && turned <= leastStep:
			return steps
		case held == 0:
			next = max(turned/2, leastStep)
		case float64(turned) <= closeEnough*float64(held):
			return steps
		default:
			next = (held + turned) / 2
		}
	}
	return steps
}

// leastStep is the lowest rate that is tried on a machine that carries little.
const leastStep = 500

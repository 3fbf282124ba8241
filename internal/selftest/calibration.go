package selftest

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/report"
)

// Calibration is what a machine's figures can't be better than, and how much it carries, as measured at one time.
type Calibration struct {
	AtNS        int64   `json:"at_ns"` // Unix, of the first run
	WeirVersion string  `json:"weir_version"`
	Cores       int     `json:"cores"`
	CPU         string  `json:"cpu,omitempty"`
	Kernel      string  `json:"kernel,omitempty"`
	Floor       *Floor  `json:"floor"` // null where the run did not come to its end; likewise below
	Echo        *Floor  `json:"echo"`
	Dials       *Dials  `json:"dials"`
	Steps       []Step  `json:"steps"` // in the order in which they were made
	Ceiling     Ceiling `json:"ceiling"`
	// Remarks are sentences on what could not be measured.
	Remarks []string `json:"remarks"`
}

// Floor is the latency at a rate that costs nothing: end to end, or of an echo from a client's publishing to its reading.
type Floor struct {
	Clients int                `json:"clients"`
	PerS    float64            `json:"deliveries_per_s"`
	P50NS   int64              `json:"p50_ns"`
	P99NS   int64              `json:"p99_ns"`
	Health  report.HealthState `json:"health"`
}

// Dials is how fast connections are opened and upgraded.
type Dials struct {
	Clients int     `json:"clients"`
	PerS    float64 `json:"per_s"`
}

// Step is one rate that was tried.
type Step struct {
	PerS     float64            `json:"deliveries_per_s"` // that were due
	Achieved float64            `json:"achieved_share"`   // of them that arrived, while they were due
	Health   report.HealthState `json:"health"`
	P50NS    int64              `json:"p50_ns"`
	P99NS    int64              `json:"p99_ns"`
	// GeneratorUS and TargetUS are the processor time of the generator and of the null target a delivery, in microseconds, all
	// that they do included; null where it is not known.
	GeneratorUS *float64 `json:"generator_cpu_us_per_delivery"`
	TargetUS    *float64 `json:"target_cpu_us_per_delivery"`
	MachineBusy *float64 `json:"machine_busy_share"`
	// Turned is why the step does not hold; empty where it does.
	Turned string `json:"turned,omitempty"`
}

// Ceiling is between the highest rate that holds and the lowest that does not.
type Ceiling struct {
	HeldPerS   float64 `json:"held_deliveries_per_s"`   // 0: none held
	TurnedPerS float64 `json:"turned_deliveries_per_s"` // 0: none was found that does not hold
	Why        string  `json:"why,omitempty"`           // of the lowest that does not
}

// ceilingOf finds it among the steps. A rate above one that does not hold counts for nothing.
func ceilingOf(steps []Step) (c Ceiling) {
	for _, s := range steps {
		if s.Turned != "" && (c.TurnedPerS == 0 || s.PerS < c.TurnedPerS) {
			c.TurnedPerS, c.Why = s.PerS, s.Turned
		}
	}
	for _, s := range steps {
		if s.Turned == "" && (c.TurnedPerS == 0 || s.PerS < c.TurnedPerS) {
			c.HeldPerS = max(c.HeldPerS, s.PerS)
		}
	}
	return c
}

// told reports whether the two are close, or lie beyond what is tried.
func (c Ceiling) told() bool {
	switch {
	case c.TurnedPerS == 0:
		return c.HeldPerS >= lastStep
	case c.HeldPerS == 0:
		return c.TurnedPerS <= leastStep
	}
	return c.TurnedPerS <= closeEnough*c.HeldPerS
}

func (c Ceiling) text() string {
	switch {
	case c.HeldPerS == 0 && c.TurnedPerS == 0:
		return "not measured"
	case c.TurnedPerS == 0:
		return fmt.Sprintf("at least %s deliveries/s, the highest rate that was tried", thousands.Rounded(c.HeldPerS))
	case c.HeldPerS == 0:
		return fmt.Sprintf("below %s deliveries/s, the lowest rate that was tried: %s", thousands.Rounded(c.TurnedPerS), c.Why)
	}
	return fmt.Sprintf("%s deliveries/s hold, %s do not: %s", thousands.Rounded(c.HeldPerS), thousands.Rounded(c.TurnedPerS), c.Why)
}

// Print writes it for people.
func (c *Calibration) Print(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("machine", "%s", strings.Join(nonEmpty(fmt.Sprintf("%d cores", c.Cores), c.CPU, c.Kernel, "weir "+c.WeirVersion), ", "))
	if f := c.Floor; f != nil {
		line("floor", "p50 %s, p99 %s end to end; %d clients, %s deliveries/s, health %s", span(f.P50NS), span(f.P99NS), f.Clients, thousands.Rounded(f.PerS), f.Health)
	}
	if f := c.Echo; f != nil {
		line("echo", "p50 %s, p99 %s from publishing to reading it; %d clients, %s deliveries/s, health %s", span(f.P50NS), span(f.P99NS), f.Clients,
			thousands.Rounded(f.PerS), f.Health)
	}
	if d := c.Dials; d != nil {
		line("dials", "%s/s, up to %s clients", thousands.Rounded(d.PerS), thousands.Of(d.Clients))
	}
	line("ceiling", "%s", c.Ceiling.text())
	if err := c.printSteps(&b); err != nil {
		return err
	}
	for _, r := range c.Remarks {
		line("remark", "%s", r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (c *Calibration) printSteps(w io.Writer) error {
	if len(c.Steps) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\ndeliveries/s\tarrived\thealth\tp50\tp99\tgenerator\ttarget\tmachine busy\t")
	for _, s := range c.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", thousands.Rounded(s.PerS), percent(&s.Achieved), orDash(string(s.Health)), span(s.P50NS), span(s.P99NS),
			micros(s.GeneratorUS), micros(s.TargetUS), percent(s.MachineBusy))
	}
	fmt.Fprintln(t, "\t\t\t\t\tµs a delivery\tµs a delivery\t\t")
	return t.Flush()
}

func nonEmpty(texts ...string) (kept []string) {
	for _, t := range texts {
		if t != "" {
			kept = append(kept, t)
		}
	}
	return kept
}

func orDash(s string) string { return firstOf(s, "–") }

func percent(share *float64) string {
	if share == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", 100**share)
}

func micros(v *float64) string {
	if v == nil {
		return "–"
	}
	return fmt.Sprintf("%.2f", *v)
}

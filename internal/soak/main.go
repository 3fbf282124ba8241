// Command soak tells what leaks in a run: the slopes of goroutines, descriptors and memory over its measure phases. It ends
// with 1 where one of them rises, or is not known.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/weirbench/weir/results"
)

// watched is a gauge that must not rise.
type watched struct {
	gauge, name string
	unit        float64
	tolerance   float64 // in an hour, in units
}

// watchedGauges: a leak of one descriptor or goroutine for each client that comes and goes would be thousands in an hour;
// memory that the runtime gives back late, or never, is a few MiB.
func watchedGauges() []watched {
	const mib = 1 << 20
	return []watched{
		{results.GaugeGatewayGoroutines, "gateway: goroutines", 1, 100},
		{results.GaugeGatewayDescriptors, "gateway: descriptors", 1, 50},
		{results.GaugeGatewayRSS, "gateway: memory, MiB", mib, 32},
		{results.GaugeGoroutines, "generator: goroutines", 1, 100},
		{results.GaugeDescriptors, "generator: descriptors", 1, 50},
		{results.GaugeGeneratorRSS, "generator: memory, MiB", mib, 64},
	}
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: soak RUN-DIRECTORY")
		os.Exit(2)
	}
	if err := tell(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

// tell writes a table of the run's slopes. The error says what rises, or why that is not known.
func tell(out io.Writer, dir string) error {
	run, err := results.Open(dir)
	if err != nil {
		return err
	}
	measured := map[string]bool{}
	for _, m := range run.Plan.Phases.Measure {
		measured[m.Name] = true
	}
	readings := map[string][]reading{}
	for iv, err := range run.Intervals() {
		if err != nil {
			return err
		}
		if !measured[iv.Phase] {
			continue
		}
		for name, value := range iv.Gauges {
			readings[name] = append(readings[name], reading{time.Unix(0, iv.EndAt), value})
		}
	}
	return write(out, readings)
}

func write(out io.Writer, readings map[string][]reading) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tmean\tslope an hour\t95% interval\ttolerated\tover\t")
	var errs []error
	for _, w := range watchedGauges() {
		s, err := fit(readings[w.gauge])
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", w.name, err))
			continue
		}
		rises := s.leaks(w.tolerance * w.unit)
		verdict := "flat"
		if rises {
			verdict = "RISES"
			errs = append(errs, fmt.Errorf("%s: rises by %.1f ± %.1f an hour", w.name, s.perHour/w.unit, s.within/w.unit))
		}
		fmt.Fprintf(table, "%s\t%.1f\t%+.1f\t%+.1f to %+.1f\t%+.1f\t%s\t %s\n", w.name, s.mean/w.unit, s.perHour/w.unit,
			(s.perHour-s.within)/w.unit, (s.perHour+s.within)/w.unit, s.limit(w.tolerance), s.over.Round(time.Second), verdict)
	}
	return errors.Join(append(errs, table.Flush())...)
}

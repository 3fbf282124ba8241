// Command replays tells what replays cost those who are live: the end-to-end latency of the group stayers in phases named
// calm… and replaying…, and the ratio of their p99. It ends with 1 where the ratio of all phases together exceeds the limit.
package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// limit is how much larger the live clients' p99 may be beside replays.
const limit = 1.3

// judged is the group that is live throughout.
const judged = "stayers"

// kinds are what phases' names begin with: without replays, and with them.
var kinds = [2]string{"calm", "replaying"}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: replays RUN-DIRECTORY…")
		os.Exit(2)
	}
	if err := tell(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "replays:", err)
		os.Exit(1)
	}
}

// comparison gathers what the runs measured.
type comparison struct {
	phases []phase
	all    [2]results.Series
	ratios benchtable.Sample // of each phase with replays to the one without before it
}

type phase struct {
	run, name string
	kind      int
	live      results.Series
	replayed  int64 // deliveries, of all groups
}

func tell(out io.Writer, dirs []string) error {
	var c comparison
	for _, dir := range dirs {
		run, err := results.Open(dir)
		if err != nil {
			return err
		}
		if err := c.add(dir, run.Plan, run.Intervals()); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return c.write(out)
}

// add takes a run's measure phases.
func (c *comparison) add(dir string, plan *scenarios.Plan, intervals iter.Seq2[*results.Interval, error]) error {
	var live results.SeriesSet
	replayed := map[string]int64{}
	for iv, err := range intervals {
		if err != nil {
			return err
		}
		for _, s := range iv.Series {
			if s.Stage == results.StageE2E && s.Group == judged {
				if err := live.Add(s); err != nil {
					return err
				}
			}
		}
		for _, n := range iv.Counters {
			if n.Name == results.CountReplayed {
				replayed[n.Phase] += n.Value
			}
		}
	}
	before := int64(0) // the p99 of the calm phase before
	for _, m := range plan.Phases.Measure {
		kind := slices.IndexFunc(kinds[:], func(k string) bool { return strings.HasPrefix(m.Name, k) })
		if kind < 0 {
			continue
		}
		p := phase{dir, m.Name, kind, live.Get(results.StageE2E, func(l results.Label) bool { return l.Phase == m.Name }), replayed[m.Name]}
		if p.live.Count() == 0 {
			return fmt.Errorf("the group %s got nothing in phase %s", judged, m.Name)
		}
		p99 := p.live.Quantile(0.99)
		if kind == 1 && before > 0 {
			c.ratios = append(c.ratios, float64(p99)/float64(before))
		}
		if before = 0; kind == 0 {
			before = p99
		}
		if err := results.MergeSeries(&c.all[kind], p.live); err != nil {
			return err
		}
		c.phases = append(c.phases, p)
	}
	return nil
}

var errReplayless = errors.New("there is nothing to compare: write phases named calm… and replaying…, in turn")

func (c *comparison) write(out io.Writer) error {
	if len(c.ratios) == 0 {
		return errReplayless
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "run\tphase\tlive deliveries\tp50\tp99\tp99.9\treplayed\t")
	line := func(run, name string, s results.Series, replayed string) {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t\n", run, name, s.Count(), span(s, 0.5), span(s, 0.99), span(s, 0.999), replayed)
	}
	sums := [2]int64{}
	for _, p := range c.phases {
		line(p.run, p.name, p.live, fmt.Sprint(p.replayed))
		sums[p.kind] += p.replayed
	}
	for kind, name := range kinds {
		line("all", name, c.all[kind], fmt.Sprint(sums[kind]))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	low, high := c.ratios.Range()
	ratio := float64(c.all[1].Quantile(0.99)) / float64(c.all[0].Quantile(0.99))
	fmt.Fprintf(out, "p99 of the live clients beside replays ÷ without: %.2f of all together; %.2f in the median of %d pairs of phases (%.2f to %.2f)\n",
		ratio, c.ratios.Median(), len(c.ratios), low, high)
	switch {
	case sums[1] == 0:
		return errors.New("nothing was replayed in the phases with replays")
	case ratio > limit:
		return fmt.Errorf("the ratio is %.2f; want at most %.1f", ratio, limit)
	}
	return nil
}

func span(s results.Series, q float64) string {
	return time.Duration(s.Quantile(q)).Round(10 * time.Microsecond).String()
}

package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
)

// othersBusy is how busy the machine was while nothing of the comparison ran: a share of 1, before each round.
type othersBusy struct{ shares benchtable.Sample }

const idleLook = time.Second

// look waits for a moment in which nothing of the comparison runs, and notes what others take.
func (o *othersBusy) look(ctx context.Context) error {
	before, err := machineTimes()
	if err != nil {
		return err
	}
	if err := pause(ctx, idleLook); err != nil {
		return err
	}
	after, err := machineTimes()
	if err != nil {
		return err
	}
	o.shares = append(o.shares, after.busySince(before))
	return nil
}

// head says what the figures were measured on.
func (b *bench) head(began time.Time) string {
	var t strings.Builder
	fmt.Fprintf(&t, "## Comparisons\n\n`%s`\n\n", strings.Join(os.Args, " "))
	fmt.Fprintf(&t, "%s, %d processors, Linux %s, %s; %s; took %s. ", cpuModel(), runtime.NumCPU(), kernel(), runtime.Version(),
		began.UTC().Format("2006-01-02 15:04 MST"), time.Since(began).Round(time.Second))
	if b.others.shares.Count() > 0 {
		fmt.Fprintf(&t, "Others took %s of the machine before the rounds. ", b.others.shares.Cell(benchtable.Percent))
	}
	t.WriteString("Cells are medians of the rounds with their range; ratios are taken within a round.\n\n")
	return t.String()
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "processor unknown"
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// times is what a machine's processors have done, in ticks.
type times struct{ busy, all int64 }

func (t times) busySince(before times) float64 {
	if t.all <= before.all {
		return benchtable.Absent()
	}
	return float64(t.busy-before.busy) / float64(t.all-before.all)
}

func machineTimes() (times, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return times{}, err
	}
	return parseMachine(string(text))
}

// parseMachine reads the first line of /proc/stat (proc_stat(5)): user, nice, system, idle, iowait, irq, softirq, steal; what
// follows is in user and nice already.
func parseMachine(text string) (t times, err error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return t, fmt.Errorf("read /proc/stat: its first line is %q", line)
	}
	for i, f := range fields[1:9] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return times{}, fmt.Errorf("read /proc/stat: %w", err)
		}
		t.all += ticks
		if i != 3 && i != 4 {
			t.busy += ticks
		}
	}
	return t, nil
}

// pause waits, unless ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

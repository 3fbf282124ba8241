package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/internal/machine"
)

// othersBusy is how busy the machine was while nothing of the comparison ran: a share of 1, before each round.
type othersBusy struct {
	shares benchtable.Sample
	lasts  time.Duration // of a look
}

const idleLook = time.Second

// look waits for a moment in which nothing of the comparison runs, and notes what others take.
func (o *othersBusy) look(ctx context.Context) error {
	before, _, err := machine.ReadProcessorTime(machine.Files())
	if err != nil {
		return err
	}
	if err := pause(ctx, o.lasts); err != nil {
		return err
	}
	after, _, err := machine.ReadProcessorTime(machine.Files())
	if err != nil {
		return err
	}
	o.shares = append(o.shares, busySince(after, before))
	return nil
}

// head says what the figures were measured on.
func (b *bench) head(began time.Time) string {
	var t strings.Builder
	fmt.Fprintf(&t, "## Comparisons\n\n`%s`\n\n", strings.Join(os.Args, " "))
	fmt.Fprintf(&t, "%s, %d processors, Linux %s, %s; %s; took %s. ", cmp.Or(machine.CPUModel(machine.Files()), runtime.GOARCH),
		runtime.NumCPU(), cmp.Or(machine.KernelRelease(machine.Files()), "unknown"), runtime.Version(),
		began.UTC().Format("2006-01-02 15:04 MST"), time.Since(began).Round(time.Second))
	if b.others.shares.Count() > 0 {
		fmt.Fprintf(&t, "Others took %s of the machine before the rounds. ", b.others.shares.Cell(benchtable.Percent))
	}
	t.WriteString("Cells are medians of the rounds with their range; ratios are taken within a round.\n\n")
	return t.String()
}

// busySince is the share of the machine that was busy between two readings; NaN where they don't tell.
func busySince(now, before machine.ProcessorTime) float64 {
	spent, known := now.Since(before)
	if !known {
		return benchtable.Absent()
	}
	return float64(spent.Busy()) / float64(spent.All())
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

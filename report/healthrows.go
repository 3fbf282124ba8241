package report

import (
	"fmt"
	"strconv"

	"github.com/weirbench/weir/results"
)

// notRecorded is what a table has of a figure that the run does not.
const notRecorded = "not recorded"

// gaugeRows are the health table's rows of the machine beside how busy it was.
func gaugeRows(f HealthFigures) [][]string {
	text := func(v *float64) string {
		if v == nil {
			return notRecorded
		}
		return formatShare(*v)
	}
	queue := notRecorded
	if f.RunQueue != nil {
		queue = strconv.FormatFloat(*f.RunQueue, 'f', 2, 64)
	}
	rows := [][]string{
		{"generator, of its cores", text(f.GeneratorOfCores), "of those that it may use; at most " + formatShare(generatorBusyShare)},
		{"others' CPU", text(f.ForeignCPU), "of all cores, by no part of the run that weir meters; at most " + formatShare(foreignShare)},
		{"run queue", queue, "of the generator's threads, waiting for each of its processors; at most " + strconv.FormatFloat(runQueueLimit, 'g', -1, 64)},
		{"sending thread waited", text(f.PacingWait), "for a processor, of the time; at most " + formatShare(pacingWaitShare)},
		{"GC's CPU", text(f.GCOfCPU), "of the generator's; at most " + formatShare(gcShare)},
	}
	if f.TCP == nil {
		return append(rows, []string{"TCP", notRecorded, ""})
	}
	t := f.TCP
	unjudged := ""
	if t.SlowByPlan {
		unjudged = "; clients read slowly by plan, so neither what was sent again nor full buffers were judged"
	}
	return append(rows, []string{"TCP", plural(t.Segments, "segment"), fmt.Sprintf(
		"%s sent again, %s dropped by full listeners (%s in all), receive buffers full %s; on this machine, whoever's%s",
		formatCount(t.Retransmits), plural(t.ListenOverflows, "connection"), formatCount(t.ListenDrops), times(int(t.FullReceiveBuffers)), unjudged)})
}

// gcText says what bounded the collector and what it did in the measure phases.
func gcText(gc *results.GCHealth) string {
	if gc == nil {
		return ""
	}
	bound := gc.Bound
	if gc.LimitBytes > 0 {
		bound += " " + formatBytes(float64(gc.LimitBytes))
	}
	return fmt.Sprintf("; %s in the measure phases, longest %s; bound by %s", plural(gc.Measured, "collection"),
		formatNS(float64(gc.MeasuredPauseMaxNS)), bound)
}

package machine

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// ProcessorTime is what all processors together have spent since the machine started, in ticks of the clock, of which there
// are sysconf(_SC_CLK_TCK) in a second (proc_stat(5)). The time of guests stands in User and Nice already.
type ProcessorTime struct {
	User, Nice, System, Idle, IOWait, IRQ, SoftIRQ, Steal int64
}

// All is the sum of all kinds.
func (t ProcessorTime) All() int64 { return t.Busy() + t.Idle + t.IOWait }

// Busy is what was not idle; waiting for a disk is.
func (t ProcessorTime) Busy() int64 {
	return t.User + t.Nice + t.System + t.IRQ + t.SoftIRQ + t.Steal
}

// Since is what was spent after an earlier reading. known is false where no time passed, and where Idle fell, as it does when a
// processor goes offline, whose idle time the kernel then keeps by another account: a share of such a sum would be of nothing.
// IOWait alone may fall a little at any time (proc_stat(5)).
func (t ProcessorTime) Since(earlier ProcessorTime) (spent ProcessorTime, known bool) {
	spent = ProcessorTime{
		t.User - earlier.User, t.Nice - earlier.Nice, t.System - earlier.System, t.Idle - earlier.Idle,
		t.IOWait - earlier.IOWait, t.IRQ - earlier.IRQ, t.SoftIRQ - earlier.SoftIRQ, t.Steal - earlier.Steal,
	}
	return spent, spent.Idle >= 0 && spent.All() > 0
}

// ReadProcessorTime reads proc/stat. cores is how many processors are online.
func ReadProcessorTime(files fs.FS) (t ProcessorTime, cores int, err error) {
	text, err := Text(files, "proc/stat")
	if err != nil {
		return t, 0, err
	}
	return ParseProcessorTime(text)
}

// ParseProcessorTime takes the text of /proc/stat, of which the first line sums up all possible processors, online or not
// (Linux, fs/proc/stat.c); cores counts the lines of those that are online. Further columns than those known, and further lines,
// may follow.
func ParseProcessorTime(text string) (t ProcessorTime, cores int, err error) {
	line, rest, _ := strings.Cut(text, "\n")
	kinds := []*int64{&t.User, &t.Nice, &t.System, &t.Idle, &t.IOWait, &t.IRQ, &t.SoftIRQ, &t.Steal}
	fields := strings.Fields(line)
	if len(fields) <= len(kinds) || fields[0] != "cpu" {
		return t, 0, fmt.Errorf("read /proc/stat: its first line is %q, not cpu and %d numbers", line, len(kinds))
	}
	for i, ticks := range kinds {
		if *ticks, err = strconv.ParseInt(fields[1+i], 10, 64); err != nil {
			return ProcessorTime{}, 0, fmt.Errorf("read /proc/stat: %w", err)
		}
	}
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "cpu") {
			cores++
		}
	}
	return t, cores, nil
}

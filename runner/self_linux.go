package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/testbed"
)

// selfUse is what this process uses, its children apart.
func selfUse() (testbed.ResourceUse, error) {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return testbed.ResourceUse{}, fmt.Errorf("read own resource use: %w", err)
	}
	use := testbed.ResourceUse{CPUSeconds: float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if f := bytes.Fields(statm); len(f) > 1 {
			pages, _ := strconv.ParseInt(string(f[1]), 10, 64)
			use.RSSBytes = pages * int64(os.Getpagesize())
		}
	}
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		names, _ := dir.Readdirnames(-1)
		use.Descriptors = len(names)
		_ = dir.Close()
	}
	return use, nil
}

// busyWatch follows how busy the machine's processors are.
type busyWatch struct{ busy, interrupts, hard, all float64 }

// busyShares are of all processors' time: busy in all, and accounted to processes or stolen by the host.
type busyShares struct {
	all, processes float64
	cores          int
}

// share is what happened since the last call.
func (b *busyWatch) share() (busyShares, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return busyShares{}, false
	}
	now, cores := parseBusy(string(text))
	was := *b
	*b = now
	if was.all == 0 || now.all <= was.all {
		return busyShares{}, false
	}
	shares := now.since(was)
	shares.cores = cores
	return shares, true
}

func (b busyWatch) since(was busyWatch) busyShares {
	span := b.all - was.all
	s := busyShares{all: (b.busy - was.busy) / span}
	s.processes = s.all
	if b.apart() {
		s.processes -= (b.interrupts - was.interrupts) / span
	}
	return s
}

// apart reports whether the kernel keeps the time of interrupts apart from that of the processes that they interrupt
// (CONFIG_IRQ_TIME_ACCOUNTING). Without that the processes' own times include it, whatever /proc/stat calls it, and no hard
// interrupt is ever counted there: the tick that samples is one itself, and they don't nest.
func (b busyWatch) apart() bool { return b.hard > 0 }

// parseBusy reads proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; guest time stands in user time already.
func parseBusy(text string) (b busyWatch, cores int) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "cpu") {
			continue
		}
		if f[0] != "cpu" {
			cores++
			continue
		}
		for i, field := range f[1:min(len(f), 9)] {
			v, _ := strconv.ParseFloat(field, 64)
			b.all += v
			switch i {
			case 3, 4:
			case 5, 6:
				b.busy += v
				b.interrupts += v
			default:
				b.busy += v
			}
			if i == 5 {
				b.hard = v
			}
		}
	}
	return b, cores
}

// machine describes the processor, kernel and memory.
func machine() (cpu, kernel string, memory int64) {
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		kernel = unix.ByteSliceToString(uts.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		memory = int64(info.Totalram) * int64(info.Unit)
	}
	return cpu, kernel, memory
}

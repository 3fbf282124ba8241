package runner

import "github.com/weirbench/weir/internal/machine"

// busyWatch follows how busy the machine's processors are.
type busyWatch struct{ last machine.ProcessorTime }

// busyShares are of all processors' time: busy in all, and accounted to processes or stolen by the host.
type busyShares struct {
	all, processes float64
	cores          int
}

// share is what happened since the last call; false at the first, and where the system does not tell.
func (b *busyWatch) share() (busyShares, bool) {
	now, cores, err := machine.ReadProcessorTime(machine.Files())
	if err != nil {
		return busyShares{}, false
	}
	was := b.last
	b.last = now
	if was.All() == 0 {
		return busyShares{}, false
	}
	shares, known := busySince(now, was)
	shares.cores = cores
	return shares, known
}

// busySince is known where the two readings tell a share.
func busySince(now, was machine.ProcessorTime) (_ busyShares, known bool) {
	spent, known := now.Since(was)
	if !known {
		return busyShares{}, false
	}
	all := float64(spent.All())
	s := busyShares{all: float64(spent.Busy()) / all}
	s.processes = s.all
	if interruptsApart(now) {
		s.processes -= float64(spent.IRQ+spent.SoftIRQ) / all
	}
	return s, true
}

// interruptsApart reports whether the kernel keeps the time of interrupts apart from that of the processes that they interrupt
// (CONFIG_IRQ_TIME_ACCOUNTING). Without that the processes' own times include it, whatever /proc/stat calls it, and no hard
// interrupt is ever counted there: the tick that samples is one itself, and they don't nest.
func interruptsApart(t machine.ProcessorTime) bool { return t.IRQ > 0 }

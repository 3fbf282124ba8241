package doctor

import (
	"fmt"
	"math"
	"time"

	"github.com/weirbench/weir/scenarios"
)

// What a plan takes on a machine that runs all of it, beside what scenarios.Cost has. These are estimates, on the high
// side. Measured on Linux, generator, gateway and embedded Kafka had 164 MiB at the end of the quickstart (500 clients)
// and 255 MiB of one with 5,000 clients at 100 messages/s: 21 KB a connection, without the sockets' memory in the kernel.
const (
	processBytes    = 192 << 20 // generator, gateway and embedded Kafka
	instanceBytes   = 64 << 20  // each further gateway: a third of the three, on the high side as they are
	brokerBytes     = 1 << 30   // a broker's JVM with its page cache, in Docker
	connectionBytes = 48 << 10  // both ends of a loopback connection: kernel, generator, gateway
)

// MemoryBytes estimates the memory that a plan's run takes on the machine that runs it.
func MemoryBytes(plan *scenarios.Plan) int64 {
	c := plan.Cost()
	total := float64(c.AuditBytes) + float64(c.SendBufferBytes) + processBytes + connectionBytes*float64(c.Connections)
	total += instanceBytes * float64(plan.Gateway.InstanceCount()-1)
	if plan.Kafka.Provider == scenarios.ProviderDocker {
		total += brokerBytes * float64(plan.Kafka.Brokers)
	}
	return whole(total)
}

// What an interval takes on disk for a client group and a sender, in the log and the files made from it, and a run without
// its intervals: estimates, on the high side. Measured with the quickstart, an interval took 17 KB of the log and 15 KB of
// intervals.hlog, and the other files 190 KB in all.
const (
	intervalBytes = 40 << 10
	runBytes      = 4 << 20
)

// RunBytes estimates what a plan's run directory takes on disk.
func RunBytes(plan *scenarios.Plan) int64 {
	interval := plan.IntervalNS
	if interval <= 0 {
		interval = time.Second
	}
	intervals := math.Ceil(plan.Cost().Duration.Seconds()/interval.Seconds()) + 1
	pairs := float64(max(len(plan.Clients), 1) * max(len(plan.Senders()), 1))
	return whole(runBytes + intervals*pairs*intervalBytes)
}

// RoomFor says what is wrong where a plan's run directory would not fit on the disk of dir, which need not exist yet.
// What can't be read is no error: creating the directory will tell.
func RoomFor(plan *scenarios.Plan, dir string) error {
	free, known := freeBytes(dir)
	if need := RunBytes(plan); known && free < uint64(need) {
		return fmt.Errorf("use run directory %s: its disk has %s free, and this run writes about %s (free some, or choose another with --out)",
			dir, Bytes(int64(min(free, math.MaxInt64))), Bytes(need))
	}
	return nil
}

func whole(x float64) int64 {
	if x >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(math.Round(x))
}

// Bytes writes a size with three digits: 24.5 MiB.
func Bytes(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	x, i := float64(n), 0
	for math.Abs(x) >= 1000 && i < len(units)-1 {
		x, i = x/1024, i+1
	}
	switch {
	case i == 0 || math.Abs(x) >= 99.95:
		return fmt.Sprintf("%.0f %s", x, units[i])
	case math.Abs(x) >= 9.995:
		return fmt.Sprintf("%.1f %s", x, units[i])
	}
	return fmt.Sprintf("%.2f %s", x, units[i])
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", 100*share) }

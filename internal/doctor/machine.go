package doctor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/internal/thousands"
)

// cpu: the pipeline and the generator share the processors.
func cpu(_ context.Context, m Machine, _ Needs) Finding {
	const few = 2
	cores, limited := float64(m.Cores), ""
	if quota, known := machine.CoreQuota(m.Files); known && quota < cores {
		cores, limited = quota, fmt.Sprintf(" (the control group allows that of %d)", m.Cores)
	}
	word := "processors"
	if cores == 1 {
		word = "processor"
	}
	text := fmt.Sprintf("%s %s%s", strconv.FormatFloat(cores, 'f', -1, 64), word, limited)
	if cores < few {
		return warn("give it more: docker run --cpus, CPUQuota in a systemd unit, resources.limits.cpu in Kubernetes",
			"%s: generator, Kafka and gateway will wait for each other", text)
	}
	return ok("%s", text)
}

// load: what else runs, here or on the host, makes the generator late.
func load(ctx context.Context, m Machine, _ Needs) Finding {
	const busyShare, stolenShare = 0.5, 0.02
	busy, stolen, known := m.Busy(ctx)
	switch {
	case !known:
		return unknown()
	case stolen > stolenShare:
		return warn("take a machine that shares its host with fewer", "%s of the processors' time goes to other machines of the host (steal)", percent(stolen))
	case busy > busyShare:
		return warn("end what else runs, or wait for it", "the processors are %s busy now, before anything of weir's runs", percent(busy))
	}
	return ok("%s busy, %s stolen now", percent(busy), percent(stolen))
}

// governor: a clock frequency that follows the load makes latencies of small loads longer and uneven.
func governor(_ context.Context, m Machine, _ Needs) Finding {
	name, known := m.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	switch {
	case !known:
		return ok("the kernel shows none, as in virtual machines")
	case name != "performance":
		return warn("cpupower frequency-set -g performance", "the processors' frequency follows the load (governor %s): latencies of small loads come out longer", name)
	}
	return ok("performance")
}

// memory: what the plan's run takes against what is there.
func memory(_ context.Context, m Machine, n Needs) Finding {
	available, known := machine.AvailableMemory(m.Files)
	if !known {
		return unknown()
	}
	where := ""
	if available.ByGroup {
		where = " in the control group"
	}
	need := int64(processBytes + connectionBytes*n.Clients)
	if n.Plan != nil {
		need = MemoryBytes(n.Plan)
	}
	if available.Bytes < need {
		return lacking(n, "end what else runs, raise the limit, or take fewer clients or a shorter stall", "%s available%s, about %s needed", Bytes(available.Bytes), where, Bytes(need))
	}
	return ok("%s available%s, about %s needed", Bytes(available.Bytes), where, Bytes(need))
}

// clockSource: each message takes several readings of the clock.
func clockSource(_ context.Context, m Machine, _ Needs) Finding {
	name, known := m.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
	if !known {
		return unknown()
	}
	switch name {
	case "hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit":
		return warn("boot with clocksource=tsc where the processor's is stable", "%s: reading the time is slow or coarse", name)
	}
	return ok("%s", name)
}

// ClockState is what the kernel and a moment's watching say of the realtime clock.
type ClockState struct {
	Synchronised bool
	MaxError     time.Duration // the kernel's own bound of the error
	// Step is the change of realtime − monotonic while it was watched, beyond what slewing explains; 0 is none.
	Step time.Duration
}

// clockSync: on one machine all stamps are of one clock, so that its error does not matter and its steps do.
func clockSync(_ context.Context, m Machine, _ Needs) Finding {
	c, known := m.Clock()
	switch {
	case !known:
		return unknown()
	case c.Step != 0:
		return warn("find what sets it: two time services at once, or the host's; let one slew it (chronyd, systemd-timesyncd)",
			"the clock was set by %v while it was watched; a step during a run makes it invalid", c.Step)
	case !c.Synchronised:
		return warn("run chronyd or systemd-timesyncd", "no service keeps the clock, as far as the kernel knows: one that starts later may set it in the midst of a run")
	}
	return ok("kept by a time service, off by %v at most", c.MaxError.Round(time.Microsecond))
}

// Timing is what came of waiting for instants like the pacing thread.
type Timing struct {
	Realtime bool // the thread was given a realtime priority
	Nice     bool // or a negative nice value
	Waits    int
	P50, P99 time.Duration // how late the thread was
}

// pacing: what the thread that sends may do against a busy machine.
func pacing(ctx context.Context, m Machine, _ Needs) Finding {
	t, known := m.Timing(ctx)
	switch {
	case !known:
		return unknown()
	case t.Realtime:
		return ok("the pacing thread gets a realtime priority")
	}
	const mend = "setcap cap_sys_nice+ep on the weir binary, or rtprio 1 in /etc/security/limits.conf; docker run --cap-add SYS_NICE"
	if t.Nice {
		return warn(mend, "the pacing thread gets no realtime priority, only a better nice value: a busy machine makes it late")
	}
	return warn(mend, "the pacing thread gets no realtime priority: a busy machine makes it late")
}

// timing: how late the pacing thread is now. There is no bound for a machine, only for a run: its send lag.
func timing(ctx context.Context, m Machine, _ Needs) Finding {
	t, known := m.Timing(ctx)
	if !known {
		return unknown()
	}
	text := fmt.Sprintf("a wait for an instant ends late by %v (p50), %v (p99), of %s", t.P50.Round(time.Microsecond), t.P99.Round(time.Microsecond), thousands.Of(t.Waits))
	if t.P99 > time.Millisecond {
		return warn("try again when the machine is quiet, and see pacing and cpu load above",
			"%s: a run whose send lag p99 is above 1 ms is invalid unless its e2e p99 is five times that", text)
	}
	return ok("%s", text)
}

// timestamps: with them the generator's own delay stays out of the latency.
func timestamps(ctx context.Context, m Machine, _ Needs) Finding {
	known, err := m.Stamps(ctx)
	switch {
	case !known:
		return ok("this system has none: read times are the program's")
	case err != nil:
		return warn("", "the kernel gives no receive timestamps over loopback (%s): read times will be the program's, its own delay included", oneLine(err))
	}
	return ok("the kernel says when it had the bytes")
}

// disk: where the results go.
func disk(_ context.Context, m Machine, n Needs) Finding {
	free, err := m.Disk(n.RunsDir)
	if err != nil {
		return fail("make it writable, or choose another with --out", "%s: %s", n.RunsDir, oneLine(err))
	}
	need := int64(runBytes)
	if n.Plan != nil {
		need = RunBytes(n.Plan)
	}
	if free < uint64(need) {
		return fail("free some, or choose another with --out", "%s can be written; %s free, about %s needed for a run", n.RunsDir, Bytes(int64(free)), Bytes(need))
	}
	return ok("%s can be written; %s free, about %s needed for a run", n.RunsDir, Bytes(int64(min(free, 1<<62))), Bytes(need))
}

// Package doctor tells what a machine lacks for a load test, and the mend. Each check is a function of a Machine, whose
// sources are plain values and functions, and of the Needs of a plan, or of a large one where none is given; so a test
// plants each lack. It changes nothing on the machine, pulls nothing, and starts no goroutine that outlives a call.
package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// State is what a check found.
type State string

// The states.
const (
	OK   State = "ok"
	Warn State = "warn" // a run is possible, and its figures may suffer, or a larger one won't be
	Fail State = "fail" // the run is not possible, or what the plan needs is not there
)

// Finding is one check's result.
type Finding struct {
	Check string `json:"check"`
	State State  `json:"state"`
	Text  string `json:"text"`
	Mend  string `json:"mend,omitempty"` // what to do; empty where all is well or nothing can be done
}

func ok(format string, args ...any) Finding {
	return Finding{State: OK, Text: fmt.Sprintf(format, args...)}
}

// unknown is what a system does not tell.
func unknown() Finding { return ok("not known here") }

func warn(mend, format string, args ...any) Finding {
	return Finding{State: Warn, Mend: mend, Text: fmt.Sprintf(format, args...)}
}

func fail(mend, format string, args ...any) Finding {
	return Finding{State: Fail, Mend: mend, Text: fmt.Sprintf(format, args...)}
}

// lacking fails where a plan needs what is not there, and warns where no plan is given.
func lacking(n Needs, mend, format string, args ...any) Finding {
	if n.Plan == nil {
		return warn(mend, format, args...)
	}
	return fail(mend, format, args...)
}

// Machine is where the checks look.
type Machine struct {
	// Files is the file system from its root, for what the kernel tells in /proc and /sys.
	Files fs.FS
	Cores int // that this process may run on
	// Descriptors returns this process's soft and hard limit; ok is false where they are not known.
	Descriptors func() (soft, hard uint64, ok bool)
	// Tables reports whether threads can have descriptor tables of their own, each with that limit.
	Tables func() error
	Clock  func() (ClockState, bool)
	// Timing tries what the generator does: it waits for instants as the pacing thread does.
	Timing func(ctx context.Context) (Timing, bool)
	// Busy is the share of the processors' time that was not idle, and that was stolen, over a moment.
	Busy func(ctx context.Context) (busy, stolen float64, ok bool)
	// Stamps tries the kernel's receive timestamps over loopback; known is false where the system has none.
	Stamps func(ctx context.Context) (known bool, err error)
	Docker func(ctx context.Context, image string) testbed.DockerState
	// Disk returns the free bytes where dir is or would be made, and tries to write there.
	Disk   func(dir string) (free uint64, err error)
	Kafka  func(ctx context.Context, plan *scenarios.Plan) error // reaches an external cluster
	Target func(ctx context.Context, plan *scenarios.Plan) error // reaches an external target
}

// Needs is what the machine is checked against.
type Needs struct {
	Plan *scenarios.Plan // nil checks for Clients clients on weir's own testbed
	// Clients is how many connections are wanted; the plan's where there is one.
	Clients int
	// RunsDir is where run directories go.
	RunsDir string
}

// DefaultClients is what a machine is checked for without a plan.
const DefaultClients = 10_000

// check is one of the checks: a name and the function.
type check struct {
	name string
	run  func(context.Context, Machine, Needs) Finding
}

func checks(n Needs) []check {
	all := []check{
		{"descriptors", descriptors},
		{"ports", ports},
		{"cpu", cpu},
		{"cpu load", load},
		{"governor", governor},
		{"memory", memory},
		{"clock source", clockSource},
		{"clock sync", clockSync},
		{"pacing", pacing},
		{"timing", timing},
		{"timestamps", timestamps},
		{"backlog", backlog},
		{"port reuse", portReuse},
		{"conntrack", conntrack},
		{"docker", docker},
		{"disk", disk},
	}
	if n.Plan != nil && n.Plan.Kafka.Provider == scenarios.ProviderExternal {
		all = append(all, check{"kafka", kafka})
	}
	if n.Plan != nil && n.Plan.Gateway.Target == scenarios.TargetExternal {
		all = append(all, check{"target", target})
	}
	return all
}

// checkTime bounds a check that asks others.
const checkTime = 15 * time.Second

// Examine makes every check, in their fixed order. tell, which may be nil, is called with each as it is made. It returns
// early, with what there is, when ctx ends.
func Examine(ctx context.Context, m Machine, n Needs, tell func(Finding)) []Finding {
	if n.Plan != nil {
		n.Clients = n.Plan.ClientCount()
	} else if n.Clients == 0 {
		n.Clients = DefaultClients
	}
	var found []Finding
	for _, c := range checks(n) {
		if ctx.Err() != nil {
			break
		}
		limited, cancel := context.WithTimeout(ctx, checkTime)
		f := c.run(limited, m, n)
		cancel()
		f.Check = c.name
		found = append(found, f)
		if tell != nil {
			tell(f)
		}
	}
	return found
}

// String is the finding as printed: a line, and the mend below it.
func (f Finding) String() string {
	line := fmt.Sprintf("%-5s %-13s %s", f.State, f.Check, f.Text)
	if f.Mend != "" {
		line += "\n" + strings.Repeat(" ", 20) + "→ " + f.Mend
	}
	return line
}

// read returns a file of the kernel's without the white space around it; ok is false where it is not there.
func (m Machine) read(path string) (string, bool) {
	text, err := machine.Text(m.Files, path)
	return text, err == nil
}

// number reads a file that holds one number.
func (m Machine) number(path string) (n int64, ok bool) {
	text, ok := m.read(path)
	if !ok {
		return 0, false
	}
	_, err := fmt.Sscan(text, &n)
	return n, err == nil
}

package runner

import (
	"context"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/loadgen"
	"github.com/weirbench/weir/results"
)

// RunIDKey is where the environment holds the run's name, which its topics and containers carry.
const RunIDKey = "run_id"

// environment describes the machine and the software of the run.
func (r *run) environment() *results.Environment {
	revision, modified := gitState()
	extra := loadgen.Spread(r.o.Plan, r.target.URLs())
	extra[RunIDKey] = r.id.name
	return &results.Environment{
		WeirVersion: r.o.Version, GitRevision: revision, GitModified: modified,
		GoVersion: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Kernel: machine.KernelRelease(machine.Files()), CPU: machine.CPUModel(machine.Files()), Cores: runtime.NumCPU(), MemoryBytes: totalMemory(),
		Kafka: r.kafka.Description, Gateway: r.target.Description,
		StartedAtNS: time.Now().UnixNano(), Command: r.o.Command, ReceiveStamps: loadgen.ReceiveStampsFor(r.target.URL),
		Reader: loadgen.ReaderFor(r.o.Plan, r.target.URL),
		Extra:  extra,
	}
}

// gitTimeout bounds each call of git: a record is not worth waiting for a repository on a sleeping disk.
const gitTimeout = 2 * time.Second

// gitState is the revision of the working directory, since a run usually measures what is checked out there; empty
// where there is none.
func gitState() (revision string, modified bool) {
	revision, err := git("rev-parse", "HEAD")
	if err != nil {
		return "", false
	}
	changes, err := git("status", "--porcelain", "--untracked-files=no")
	return revision, err == nil && changes != ""
}

func git(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// resources puts what the process used into the health record.
func (r *run) resources(h *results.Health) {
	use, err := selfUse()
	if err != nil {
		return
	}
	h.CPUSeconds = use.CPUSeconds
	h.PortsUsed = min(h.PortsUsed, r.peakClients)
}

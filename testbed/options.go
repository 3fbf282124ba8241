package testbed

import (
	"io/fs"
	"path/filepath"

	"github.com/weirbench/weir/scenarios"
)

// Options is how children are started and watched.
type Options struct {
	// Executable is the weir binary itself (os.Executable): the children are hidden commands of it.
	Executable string
	// RunID names the run in labels, container names and instance ids: short, [a-z0-9].
	RunID string
	// Log receives what a user waiting for a slow step, such as the pull of an image, should know, and warnings; nil drops
	// it. It may be called from several goroutines, and not after the part that was started has been stopped. What the
	// children write is not in it: that goes to Dir, its end also into the errors.
	Log func(line string)
	// Dir is where the children's output is kept (kafka.log, gateway.log, guard.log, reaper.log); empty keeps none.
	Dir string
	// AllowTargets lists hosts, as the target's URL spells them, that may be measured although they are not loopback.
	AllowTargets []string
	// Publish lists the topics that clients publish to, by their names in Kafka.
	Publish []string
	// ContainerTarget has brokers in containers put on a network of the run even where there is but one, since the target may
	// be a container that is to reach them.
	ContainerTarget bool
	// Network and NetworkSeeds are what Kafka.Inside says, for a target in a container; empty where there is none.
	Network      string
	NetworkSeeds []string
	// Targets holds the targets that weir builds itself: a folder NAME with a target.yaml for each.
	Targets fs.FS
	// Cache is where those are unpacked and built; empty is the user's cache directory.
	Cache string
	// instance tells one of several gateways in the names of its files: -1, -2 …
	instance string
	// Security is how the reference gateway reaches the brokers; nil is plain text without authentication.
	Security *scenarios.KafkaSecurity
}

// log is Log with a nil check.
func (o Options) log(line string) {
	if o.Log != nil {
		o.Log(line)
	}
}

// logPath is where a child of that name keeps its output, or "".
func (o Options) logPath(name string) string {
	if o.Dir == "" {
		return ""
	}
	return filepath.Join(o.Dir, name+".log")
}

package testbed

import (
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
	// Dir is where the children's output is kept (kafka.log, gateway.log, reaper.log); empty keeps none.
	Dir string
	// AllowTargets lists hosts, as the target's URL spells them, that may be measured although they are not loopback.
	AllowTargets []string
	// Publish lists the topics that clients publish to, by their names in Kafka.
	Publish []string
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

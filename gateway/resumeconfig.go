package gateway

import (
	"fmt"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// minReplayMemory is the least that Resume.MemoryBytes may be: what is produced
// while a stretch is read from Kafka must fit.
const minReplayMemory = 1 << 20

func setResumeDefaults(r *settings.Resume) {
	setDefault(&r.MemoryBytes, 64<<20)
	setDefault(&r.Replays, 64)
	setDefault(&r.PositionsEvery, 10*time.Second)
}

func checkResume(r settings.Resume) (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if r.MemoryBytes < minReplayMemory {
		bad("Resume.MemoryBytes: %d is too small (at least %d)", r.MemoryBytes, minReplayMemory)
	}
	if r.Replays < 1 {
		bad("Resume.Replays: %d is too small (at least 1)", r.Replays)
	}
	if r.PositionsEvery < 10*time.Millisecond {
		bad("Resume.PositionsEvery: %s is too short (at least 10ms)", r.PositionsEvery)
	}
	return errs
}

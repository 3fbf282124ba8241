package gateway

import (
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

func TestResumeSettings(t *testing.T) {
	good := Config{Brokers: []string{"a:1"}, Topics: []string{"prices"}}.WithDefaults()
	if want := (settings.Resume{MemoryBytes: 64 << 20, Replays: 64, PositionsEvery: 10 * time.Second}); good.Resume != want {
		t.Errorf("defaults: got %+v; want %+v", good.Resume, want)
	}
	bad := good
	bad.Resume = settings.Resume{MemoryBytes: 1, Replays: -1, PositionsEvery: time.Microsecond}
	want := strings.Join([]string{
		"Resume.MemoryBytes: 1 is too small (at least 1048576)",
		"Resume.Replays: -1 is too small (at least 1)",
		"Resume.PositionsEvery: 1µs is too short (at least 10ms)",
	}, "\n")
	if err := bad.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v; want %s", err, want)
	}
}

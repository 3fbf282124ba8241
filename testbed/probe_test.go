package testbed

import (
	"context"
	"testing"
	"time"
)

// lateContext is one whose timer has not fired although its deadline has passed, as on a machine that is too busy.
type lateContext struct {
	context.Context
	deadline time.Time
}

func (c lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// TestCutShort: a dial that ended at the deadline told "takes no connections" of a server that had closed all before.
func TestCutShort(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"unbounded": {t.Context(), false}, "ended": {ended, true},
		"time left":                     {lateContext{t.Context(), time.Now().Add(time.Hour)}, false},
		"deadline passed, not told yet": {lateContext{t.Context(), time.Now().Add(-time.Nanosecond)}, true},
	} {
		if got := cutShort(c.ctx); got != c.want {
			t.Errorf("%s: got %v; want %v", name, got, c.want)
		}
	}
}

package testkit

import (
	"testing"
	"time"
)

// Patience is for waits that end as soon as what they wait for is there. It tells a hang from a machine that is far too
// busy, and no fast process from a slow one.
const Patience = 4 * time.Minute

// Eventually looks again and again until ok, which is how a test waits for another process or goroutine, and fails the test
// when it has lost patience. It is to be called from the test's goroutine.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	hang := time.NewTimer(Patience)
	defer hang.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-hang.C:
			t.Fatalf("%s: not within %v", what, Patience)
		case <-tick.C:
		}
	}
}

package loadgen

import (
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// TestReaderIsChosen has the environment take the connections from the pollers, by a word that means it and no other.
func TestReaderIsChosen(t *testing.T) {
	plan := &scenarios.Plan{Clients: []scenarios.ClientGroup{{Count: 1}}}
	for word, want := range map[string]string{"": ReaderEpoll, ReaderEpoll: ReaderEpoll, ReaderGoroutines: ReaderGoroutines} {
		t.Setenv(ReaderVariable, word)
		if err := checkReader(); err != nil {
			t.Errorf("%q: %v", word, err)
		}
		if got := ReaderFor(plan, "ws://127.0.0.1:1/"); got != want {
			t.Errorf("%q: connections are read by %s; want %s", word, got, want)
		}
	}
	t.Setenv(ReaderVariable, "goroutine")
	if err := checkReader(); err == nil || !strings.Contains(err.Error(), `WEIR_READER="goroutine": it is neither epoll nor goroutines`) {
		t.Errorf("got %v of a misspelt word; want an error that names it and what it may be", err)
	}
}

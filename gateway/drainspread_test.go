package gateway

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
)

func TestCloseDue(t *testing.T) {
	for _, tt := range []struct {
		i, n int
		want time.Duration
	}{{0, 1, 0}, {0, 4, 0}, {1, 4, 10 * time.Second}, {3, 4, 30 * time.Second}, {4999, 5000, 39992 * time.Millisecond}} {
		if got := closeDue(tt.i, tt.n, 40*time.Second); got.Round(time.Microsecond) != tt.want {
			t.Errorf("%d of %d: got %s; want %s", tt.i, tt.n, got, tt.want)
		}
	}
}

// Clients are told one after the other, evenly, and those that have left are not
// waited for.
func TestSpreadDrainIsEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hub{counters: new(counters), clients: make(map[*client]struct{})}
		var clients []*client
		for range 10 {
			c := &client{hub: h}
			c.queue.init(1<<10, SlowDisconnect, h.counters, make(chan struct{}, 1))
			h.clients[c] = struct{}{}
			clients = append(clients, c)
		}
		clients[3].queue.close(CloseNormal, nil, false)
		startedAt := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.spreadDrain(10 * time.Second)
		}()
		closed := func() (n int) {
			for _, c := range clients {
				if _, _, ok := c.queue.closed(); ok {
					n++
				}
			}
			return n
		}
		for second := range 9 {
			time.Sleep(500 * time.Millisecond)
			synctest.Wait()
			// One is closed from the beginning; its turn may be over or to come.
			if got := closed(); got != second+1 && got != second+2 {
				t.Errorf("after %s: %d closed; want %d or %d", time.Since(startedAt), got, second+1, second+2)
			}
			time.Sleep(500 * time.Millisecond)
		}
		<-done
		if got := closed(); got != 10 {
			t.Errorf("at the end: %d closed; want 10", got)
		}
	})
}

// While clients are closed one after the other, the gateway takes no new ones,
// and serves those that are left.
func TestDrainIsSpread(t *testing.T) {
	t.Parallel()
	g := startOpen(t, func(c *Config) { c.Timeouts.DrainSpread = 4 * time.Second })
	clients := []*testClient{g.dial("prices"), g.dial("prices")}
	type end struct {
		got []received
		err error
	}
	ends := make(chan end, len(clients))
	for _, c := range clients {
		go func() {
			var e end
			for {
				m, err := c.tryRead()
				if err != nil {
					e.err = err
					ends <- e
					return
				}
				e.got = append(e.got, m)
			}
		}()
	}
	g.stop()
	check := func(e end) {
		t.Helper()
		if closed, ok := e.err.(*websocket.CloseError); !ok || CloseCode(closed.Code) != CloseServiceRestart {
			t.Errorf("end: got %v; want %d", e.err, CloseServiceRestart)
		}
	}
	first := <-ends
	check(first)
	g.awaitStatus(statusDraining, "")
	if _, _, err := websocket.DefaultDialer.Dial("ws://"+g.addr+"/ws", nil); err == nil {
		t.Error("a new client is let in")
	}
	g.produce(0, keyed("k", 0, 1)...)
	for _, c := range clients { // one of them is closed
		_ = c.ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"publish","channel":"orders/k","value":"v"}`))
	}
	last := <-ends
	check(last)
	var kinds []string
	for _, m := range last.got {
		kinds = append(kinds, m.Type)
	}
	slices.Sort(kinds)
	if len(first.got) != 0 || !slices.Equal(kinds, []string{"message", "published"}) {
		t.Errorf("the first got %d messages, the last %v; want 0, and a record and an answer", len(first.got), kinds)
	}
	g.shutDown()
}

package loadgen

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// silentTarget upgrades connections and holds them by their descriptors alone, so that what is allocated is the clients'.
func silentTarget(t *testing.T) (url string) {
	t.Helper()
	var mu sync.Mutex
	var held []*os.File
	url = pollTarget(t, func(c net.Conn, _ *bufio.Reader, accept string) {
		defer c.Close()
		_, _ = c.Write([]byte(switching(accept)))
		socket, err := c.(*net.TCPConn).File()
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		held = append(held, socket)
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, socket := range held {
			_ = socket.Close()
		}
	})
	return url
}

// held is the memory in use, garbage apart: the heap's and the goroutines' stacks.
func held() int64 {
	var m runtime.MemStats
	runtime.GC() // twice: what pools hold goes with the second
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// clientsOf is a swarm of clients of so many streams each, that one poller is to serve.
func clientsOf(t *testing.T, url string, clients, streams int) *swarm {
	t.Helper()
	plan := enginePlan(url, nil)
	plan.Kafka.Topics[0].Partitions = streams
	plan.Clients[0].Count, plan.Clients[0].ConnectRate = clients, 1e6
	same := func(s string) string { return s }
	topo, err := newTopology(plan, 1, same, map[string]int{"t": streams})
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{shape: &topo.producers[0], join: newPending(streams, 0), final: newPending(streams, 0), ledger: newLedger(streams, 0)}
	seen := [][]*sightings{slices.Repeat([]*sightings{newSightings(2)}, streams)}
	s, err := newSwarm(topo, Options{Plan: plan, URL: url, TopicName: same, Workers: 1}, []*producer{p}, seen, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// connectedSwarm is such a swarm, whose clients are all connected until end is called.
func connectedSwarm(t *testing.T, url string, clients, streams int) (s *swarm, end func()) {
	t.Helper()
	s = clientsOf(t, url, clients, streams)
	life, cancel := context.WithCancel(t.Context())
	if err := s.connect(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	return s, func() { cancel(); s.wg.Wait() }
}

// TestMemoryOfClients: what a further client adds to the memory in use, of one stream and of many. It is about 255 bytes
// and 25 for each stream, and the bounds are above that by a fifth.
func TestMemoryOfClients(t *testing.T) {
	const few, many = 500, 2500
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 2*many+500 {
		t.Skipf("the process may have %d descriptors, and both ends of %d connections need %d (ulimit -n)", limit.Cur, many, 2*many+500)
	}
	for _, c := range []struct{ streams, bound int }{{1, 360}, {20, 900}} {
		t.Run(fmt.Sprint(c.streams, " streams"), func(t *testing.T) {
			with := func(clients int) int64 {
				s, end := connectedSwarm(t, silentTarget(t), clients, c.streams)
				defer end()
				defer runtime.KeepAlive(s)
				return held()
			}
			with(many) // what is made once
			each := (with(many) - with(few)) / (many - few)
			t.Logf("%d bytes a client", each)
			if each > int64(c.bound) {
				t.Errorf("got %d bytes a client; want at most %d", each, c.bound)
			}
		})
	}
}

// TestSizesOfWhatClientsHave: what there is one of for each client, or for each of its streams.
func TestSizesOfWhatClientsHave(t *testing.T) {
	for name, c := range map[string]struct{ size, bound uintptr }{
		"client":      {unsafe.Sizeof(client{}), 192},
		"tracker":     {unsafe.Sizeof(tracker{}), 24},
		"frameReader": {unsafe.Sizeof(frameReader{}), 16},
		"talk":        {unsafe.Sizeof(talk{}), 16},
		"comeback":    {unsafe.Sizeof(comeback{}), 112},
		"polled":      {unsafe.Sizeof(polled{}), 24},
	} {
		if c.size > c.bound {
			t.Errorf("%s: %d bytes; want at most %d, since a run has tens of thousands of them", name, c.size, c.bound)
		}
	}
	if at := unsafe.Offsetof(client{}.stats); at != 64 {
		t.Errorf("what every message touches of a client begins with %d bytes; want a cache line", at)
	}
}

// TestDialsTakeNoGoroutines: while a target is slow to answer, the clients that wait for their turn to dial cost nothing.
func TestDialsTakeNoGoroutines(t *testing.T) {
	const clients = 2 * maxDials
	release := make(chan struct{})
	url := pollTarget(t, func(c net.Conn, _ *bufio.Reader, _ string) {
		<-release
		_ = c.Close()
	})
	s := clientsOf(t, url, clients, 1)
	before := runtime.NumGoroutine()
	life, cancel := context.WithCancel(t.Context())
	gate := make(chan struct{}, maxDials)
	if err := s.startPollers(life, gate); err != nil {
		t.Fatal(err)
	}
	s.startClients(life, gate)
	awaitLocked(t, s, "as many dials as may be under way", func() bool { return len(gate) == maxDials })
	if more := runtime.NumGoroutine() - before; more > 16 {
		t.Errorf("got %d goroutines for %d dials under way and as many that wait; want a few", more, maxDials)
	}
	cancel()
	close(release)
	s.wg.Wait()
}

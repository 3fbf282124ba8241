package loadgen

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// silentTarget upgrades connections and holds them by their descriptors alone, so that what is allocated is the clients'.
func silentTarget(t *testing.T) (url string) {
	t.Helper()
	var mu sync.Mutex
	var held []int
	url = pollTarget(t, func(c net.Conn, _ *bufio.Reader, accept string) {
		defer c.Close()
		_, _ = c.Write([]byte(switching(accept)))
		fd, err := duplicate(c)
		if err != nil {
			t.Error(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		held = append(held, fd)
	})
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, fd := range held {
			_ = unix.Close(fd)
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

// connectedSwarm is a swarm whose clients, of so many streams each, are all connected until end is called.
func connectedSwarm(t *testing.T, url string, clients, streams int) (s *swarm, end func()) {
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
	s, err = newSwarm(topo, Options{Plan: plan, URL: url, TopicName: same, Workers: 2}, []*producer{p}, seen, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	life, cancel := context.WithCancel(t.Context())
	if err := s.connect(t.Context(), life); err != nil {
		t.Fatal(err)
	}
	return s, func() { cancel(); s.wg.Wait() }
}

// TestMemoryOfClients: what each further client, and each further stream of one, adds to the memory in use.
func TestMemoryOfClients(t *testing.T) {
	const few, many = 500, 2500
	for _, c := range []struct{ streams, bound int }{{1, 300}, {20, 800}} {
		t.Run(fmt.Sprint(c.streams, " streams"), func(t *testing.T) {
			with := func(clients int) int64 {
				s, end := connectedSwarm(t, silentTarget(t), clients, c.streams)
				defer end()
				defer runtime.KeepAlive(s)
				return held()
			}
			with(many) // what is made once
			before := held()
			each := (with(many) - with(few)) / (many - few)
			t.Logf("%d bytes a client; %d before", each, before)
			if each > int64(c.bound) {
				t.Errorf("got %d bytes a client; want at most %d", each, c.bound)
			}
		})
	}
}

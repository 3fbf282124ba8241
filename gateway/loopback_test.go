package gateway

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkLoopback is deliveries of 128 bytes over loopback sockets, each written before the next record is published:
// what dominates is to be read from a profile of it. Both ends are in the process.
func BenchmarkLoopback(b *testing.B) {
	const clients = 1000
	for _, of := range []struct {
		name string
		keys int // 0 for the whole topic
	}{{"broadcast", 0}, {"keyed", 10}} {
		b.Run(of.name, func(b *testing.B) {
			h := newTestHub(b, SlowDisconnect)
			h.startPolls(b)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer listener.Close()
			for i := range clients {
				far, err := net.Dial("tcp", listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { far.Close() })
				go func() { _, _ = io.Copy(io.Discard, onlyReader{far}) }()
				near, err := listener.Accept()
				if err != nil {
					b.Fatal(err)
				}
				channel := "prices"
				if of.keys > 0 {
					channel = fmt.Sprintf("prices/%d", i%of.keys)
				}
				h.add(newClient(near, &h.cfg, h.hub), []string{channel})
			}
			value := []byte(strings.Repeat("v", 128))
			b.ReportAllocs()
			var offset int64
			for b.Loop() {
				h.publish(h.topics["prices"], &record{offset: offset, key: fmt.Append(nil, offset%max(1, int64(of.keys))), value: value})
				offset++
				for h.counters.deliveries.Load() < h.counters.queued.Load() {
					runtime.Gosched()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(h.counters.deliveries.Load()), "ns/delivery")
		})
	}
}

// onlyReader keeps io.Copy from splicing.
type onlyReader struct{ io.Reader }

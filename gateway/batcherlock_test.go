package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/settings"
)

// apartClients are clients with two channels of a batched topic each, whose batches are their own, compressed.
func apartClients(h *testHub, n int) (clients []*client) {
	for i := range n {
		c := newMuteClient(newSink(nil), &h.cfg, h.hub)
		c.deflateMax = 1 << 15
		h.clients[c] = struct{}{}
		req := &request{Channels: []string{"prices", fmt.Sprintf("prices/k%d", i)}}
		if err := h.subscribe(c, req); err != nil {
			panic(err)
		}
		clients = append(clients, c)
	}
	return clients
}

// Who holds the hub neither builds nor compresses what goes to a client in batches, be they its own or its channel's: the
// clients' writers do. What the queue counts until then is what the frame has when it is not compressed, to the byte.
func TestBatchesAreBuiltByWriters(t *testing.T) {
	h := newBatchedHub(t, SlowDropOldest, settings.Batch{Interval: time.Hour, Bytes: 1 << 20})
	clients := apartClients(h, 3)
	shared := parkedMembers(h, 2, "prices/k")
	shared[1].client.deflateMax = 1 << 15
	clients = append(clients, shared[0].client, shared[1].client)
	for i := range int64(20) {
		h.publish(h.topics["prices"], &record{offset: i, key: []byte("k"), value: []byte(strings.Repeat("v", 200))})
	}
	h.flushGathered()
	for i, c := range clients {
		b, waited := new(burst), c.queue.bytes
		c.queue.take(b)
		if len(b.unbuilt) != 1 || b.frames[b.unbuilt[0].at] != nil {
			t.Fatalf("client %d: got %d frames, of which %d are to be built; want one that is", i, len(b.frames), len(b.unbuilt))
		}
		if f := b.unbuilt[0].msg.batch; i < 4 && f.plainFrame != nil || f.deflated != nil {
			t.Errorf("client %d: its batch was built when it was queued or taken", i)
		}
		b.build(h.deflaters)
		frame := b.frames[b.unbuilt[0].at]
		if plain := b.unbuilt[0].msg.batch.plain(); waited != b.bytes || len(plain) > waited || b.unbuilt[0].msg.size() != len(plain) {
			t.Errorf("client %d: counted as %d bytes of %d; its frame has %d", i, b.bytes, waited, len(plain))
		}
		if compressed := frame[0]&rsv1Bit != 0; compressed != (c.deflateMax > 0) {
			t.Errorf("client %d: compressed %t", i, compressed)
		}
	}
}

// The length that a queue counts for a batch is that of the frame that is built, whatever the records and the times are;
// and who takes it compressed gets the same.
func TestBatchFrameHasItsSize(t *testing.T) {
	h := newHub(nil, nil, 1, nil)
	rapid.Check(t, func(t *rapid.T) {
		var e recordEncoder
		var records []*message
		nanos := rapid.OneOf(rapid.Int64Range(0, 1000), rapid.Int64Min(0))
		for range rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(4, 120)).Draw(t, "records") {
			r := record{partition: rapid.Int32Range(0, 200).Draw(t, "partition"), offset: nanos.Draw(t, "offset"), queuedAt: nanos.Draw(t, "queued at")}
			if rapid.Bool().Draw(t, "keyed") {
				r.key = rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "key")
			}
			r.value = make([]byte, rapid.OneOf(rapid.IntRange(0, 3), rapid.IntRange(0, 1000), rapid.IntRange(65_000, 66_000)).Draw(t, "size"))
			records = append(records, &message{frame: e.encode(recordHeader("prices"), &r), queuedAt: r.queuedAt})
		}
		f := newBatchFrame(records, nanos.Draw(t, "now"))
		plain := f.plain()
		ops, payloads := serverFrames(plain)
		if len(plain) != f.size || len(ops) != 1 || len(payloads[0]) != f.payload {
			t.Fatalf("got %d bytes in %d frames; want %d in one", len(plain), len(ops), f.size)
		}
		compressed := f.compressed(h.deflaters)
		if compressed[0]&rsv1Bit == 0 {
			return
		}
		_, payloads2 := serverFrames(compressed)
		got, err := newInflater().(*inflater).inflate(payloads2[0], f.size)
		if err != nil || !bytes.Equal(got, payloads[0]) || len(compressed) >= len(plain) {
			t.Fatalf("compressed to %d bytes of %d, and back to %d: %v", len(compressed), len(plain), len(got), err)
		}
	})
}

// BenchmarkSettleApart is how long the hub is held while what was gathered for each of 200 clients goes into the queues.
func BenchmarkSettleApart(b *testing.B) {
	h := newBatchedHub(b, SlowDropOldest, settings.Batch{Interval: time.Hour, Bytes: 1 << 20})
	apartClients(h, 200)
	value := []byte(strings.Repeat(`{"bid":101.5,"ask":102}`, 5))
	offset := int64(0)
	for b.Loop() {
		b.StopTimer()
		for range 20 {
			h.publish(h.topics["prices"], &record{offset: offset, key: []byte("k"), value: value})
			offset++
		}
		b.StartTimer()
		h.flushGathered()
	}
}

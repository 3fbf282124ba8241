package gateway

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// begunReplay is a replay of a client that is held at offset 0 of partition 0, of which the gateway has read n records.
func begunReplay(t *testing.T, channels []string, n int64) (h *testHub, p *replayer, r *resumption, tr *topicReplay) {
	t.Helper()
	h = newTestHub(t, SlowDisconnect)
	p = newTestReplayer(h, 1)
	for i := range n {
		h.publish(h.topics["prices"], &record{offset: i, key: []byte("a"), value: []byte("v")})
	}
	r = resumes(h, h.join(t, func([]byte) {}), "")
	r.request.Channels = channels
	if unknown, refused := h.answerResume(r, nil); len(unknown) > 0 || refused != nil {
		t.Fatalf("got %v, %v; want the replay to begin", unknown, refused)
	}
	return h, p, r, r.topics[0]
}

// readAgain is what Kafka has of partition 0: n records of key a.
func readAgain(h *testHub, n int64) *stretch {
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Key: []byte("a"), Value: []byte("v"), Offset: int64(i)}
	}
	return newStretch(partitionKey{topic: "prices", epoch: h.topics["prices"].log.epoch}, 0, n, records)
}

// A drain may come at any time: what was not looked for must not count as given.
func TestReplayThatIsCutShortMovesNowhere(t *testing.T) {
	h, p, r, tr := begunReplay(t, []string{"prices"}, 10)
	s := readAgain(h, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if at := p.give(ctx, r, tr, s, tr.want, 0); at != progressGone || tr.positions[0] != 0 {
			t.Fatalf("got %v at offset %d; want the replay gone at 0", at, tr.positions[0])
		}
	}
	if n := h.counters.replayedKafka.Load(); n != 0 {
		t.Errorf("%d records were queued", n)
	}
}

// A record that was for a channel which the client has left is for another that it has not.
func TestUnsubscribedWhileKafkaIsRead(t *testing.T) {
	h, p, r, tr := begunReplay(t, []string{"prices", "prices/a"}, 10)
	s := readAgain(h, 10)
	_, want := h.wants(tr, 0)
	found := s.choose(want, tr.topic.header, 0)
	if len(found) != 10 || found[0].member != want.whole {
		t.Fatalf("got %d records, of %v; want all, of the whole topic", len(found), found[0].member)
	}
	if err := h.unsubscribe(r.client, &request{Channels: []string{"prices"}}); err != nil {
		t.Fatal(err)
	}
	from := int64(0)
	if n, at := h.take(r, tr, s, want, &from, found); n != 10 || at != progressMore || tr.positions[0] != 0 || from != 0 {
		t.Errorf("done with %d, %v, at offset %d; want it to look again from 0", n, at, tr.positions[0])
	}
	_, want = h.wants(tr, 0)
	if at := p.give(t.Context(), r, tr, s, want, 0); at != progressMore || tr.positions[0] != 10 || h.counters.replayedKafka.Load() != 10 {
		t.Errorf("got %v at offset %d, %d records queued; want all ten", at, tr.positions[0], h.counters.replayedKafka.Load())
	}
}

// A replay of which nothing is left says nothing about a topic that is live by another request.
func TestEmptyReplayLeavesTheLiveAlone(t *testing.T) {
	h, _, r, tr := begunReplay(t, []string{"prices"}, 10)
	if err := h.unsubscribe(r.client, &request{Channels: []string{"prices"}}); err != nil {
		t.Fatal(err)
	}
	has := r.client.topic(tr.topic)
	has.ahead = map[int32]int64{0: 20} // by another request of the client's
	if at, _, _ := h.step(r, tr); at != progressLive || has.ahead[0] != 20 {
		t.Errorf("got %v, ahead %v; want what is ahead to stay", at, has.ahead)
	}
}

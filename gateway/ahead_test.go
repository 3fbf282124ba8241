package gateway

import (
	"fmt"
	"testing"
)

// A client has had more from another gateway than this one has read, when the topic is deleted and created anew. What it
// had there is of the old topic: none of the new one's records may be passed over, and it is told its positions again.
func TestTopicAnewForWhoIsAhead(t *testing.T) {
	g, c, held := comesAhead(t)
	c.until("caught_up")
	old := c.positions["prices"].Epoch
	if err := g.cluster.DeleteTopic("prices"); err != nil {
		t.Fatal(err)
	}
	if err := g.cluster.CreateTopic("prices", 4, nil); err != nil {
		t.Fatal(err)
	}
	held.Remove()
	g.kafka.PurgeTopicsFromClient("prices")
	g.produce(1, keyed("new", 0, 4)...)
	c.got = nil
	g.eventually("the new topic is read", func(s Stats) bool { return s.Records == 4 })
	c.send(`{"type":"presence","channels":["prices"]}`) // its answer comes behind what was queued
	c.until("presence")
	if len(c.got) != 4 || c.got[0].Offset != 0 {
		t.Fatalf("got %d records of the new topic; want 4", len(c.got))
	}
	for at := c.positions["prices"]; at.Epoch == old || at.Next[1] != 4; at = c.positions["prices"] {
		c.until("positions")
	}
}

// What a client was ahead of is truncated: what comes in its place is sent, and the notice speaks of all that is lost.
func TestTruncationForWhoIsAhead(t *testing.T) {
	for _, test := range []struct {
		name     string
		from, to int64 // what the gateway knows was lost
		last     int64 // of what the client is told
	}{
		{"of what both have had", 7, 9, 16},
		{"of more than the client has had", 7, 20, 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := newTestHub(t, SlowDisconnect)
			topic := h.topics["prices"]
			h.readFrom("prices", 0, 10)
			h.readFrom("prices", 1, 10)
			written := make(chan []byte, 100)
			c := h.join(t, func(b []byte) { written <- append([]byte(nil), b...) }, "prices")
			h.mu.Lock()
			c.topic(topic).ahead = map[int32]int64{0: 17, 1: 12}
			c.members["prices"].skip = map[int32]int64{0: 17, 1: 12}
			h.mu.Unlock()
			h.notify(topic, notice{kind: noticeTruncated, partition: 0, firstOffset: test.from, lastOffset: test.to, count: test.to - test.from + 1})
			for p, offsets := range [][]int64{{7, 8}, {10, 11, 12}} {
				for _, offset := range offsets {
					h.publish(topic, &record{partition: int32(p), offset: offset, value: fmt.Appendf(nil, "%d", offset)})
				}
			}
			c.queue.pushReply([]byte(`{"type":"end"}`))
			var got []string
			for ended := false; !ended; {
				_, payloads := serverFrames(<-written)
				for _, p := range payloads {
					m, err := parse(0, p)
					if err != nil {
						t.Fatal(err)
					}
					switch m.Type {
					case "notice":
						got = append(got, fmt.Sprint(m.Kind, m.FirstOffset, m.LastOffset, m.Count))
					case "message":
						got = append(got, fmt.Sprint(m.Partition, m.Offset))
					}
					ended = m.Type == "end"
				}
			}
			want := []string{fmt.Sprint("truncated", 7, test.last, test.last-6), "0 7", "0 8", "1 12"}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %q; want %q", got, want)
			}
		})
	}
}

package testkit

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestEveryPublishDeed: what reaches Kafka, and so the reader, is what was ordered, the answers are, and the counts say so.
func TestEveryPublishDeed(t *testing.T) {
	deeds := []PublishDeed{PassOn, LosePublish, DoublePublish, DelayPublish, PassOn, RefusePublish, LieAboutRefuse, LeaveOpen, Unanswered, LoseUnanswered, PassOn, CloseBefore}
	kafka := Kafka(t, 1, "t")
	g := StartGateway(t, Options{
		Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1,
		PublishFault: func(p Publish) PublishDeed { return deeds[p.Nth] },
	})
	reader := subscribe(t, g, `["t/k1"]`)
	writer, _, err := websocket.DefaultDialer.Dial(g.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	_ = writer.SetReadDeadline(time.Now().Add(30 * time.Second))
	send := func(i int, kind string) {
		value := fmt.Sprintf("~W1%s%s%02d", kind, strings.Repeat("A", stampSize-4), i)
		frame, err := json.Marshal(map[string]any{"type": "publish", "id": i, "channel": "t/k1", "value": value})
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.WriteMessage(websocket.TextMessage, frame); err != nil {
			t.Fatal(err)
		}
	}
	for i := range deeds[:len(deeds)-1] {
		send(i, "d")
	}
	send(50, "f")
	send(len(deeds)-1, "d")
	if got, want := until(t, reader), []string{"00", "02", "02", "04", "03", "06", "07", "08", "10"}; !slices.Equal(got, want) {
		t.Errorf("got %q in the topic; want %q", got, want)
	}
	var answers []string
	for {
		_, text, err := writer.ReadMessage()
		if err != nil {
			break // closed by order
		}
		var a struct {
			Type string
			ID   int
		}
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, fmt.Sprintf("%s %d", a.Type, a.ID))
	}
	want := []string{
		"published 0", "published 1", "published 2", "published 4", "published 3", "refused 5", "refused 6", "undetermined 7", "published 10", "published 50",
	}
	if !slices.Equal(answers, want) {
		t.Errorf("got %q; want %q", answers, want)
	}
	g.Close()
	if got, want := g.PublishCounts(), (PublishCounts{Published: 12, Written: 9, Acked: 6, Refused: 2, Left: 1}); got != want {
		t.Errorf("got %+v; want %+v", got, want)
	}
}

// TestConflate: of what comes within an interval the newest is passed on, and the last of all is.
func TestConflate(t *testing.T) {
	kafka := Kafka(t, 1, "t")
	g := StartGateway(t, Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Conflate: 50 * time.Millisecond})
	conn := subscribe(t, g, `["t"]`)
	produce(t, kafka.ListenAddrs(), 100) // until shows the last two digits: of more, the order could not be told
	got := until(t, conn)                // the marker is the newest of its key in the end
	g.Close()                            // what was written is counted
	did := g.Counts()
	if !slices.IsSorted(got) || int64(len(got)) != did.Delivered || did.Delivered+did.Conflated != 100 || did.Conflated == 0 {
		t.Errorf("got %q, %+v; want all 100 in order, either passed on or skipped, and some skipped", got, did)
	}
}

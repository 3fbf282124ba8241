package testkit

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subscribe connects a client and waits for the answer to its subscription.
func subscribe(t *testing.T, g *Gateway, channels string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial(g.URL(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"subscribe","id":1,"channels":`+channels+`}`)); err != nil {
		t.Fatal(err)
	}
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != `{"type":"subscribed","id":1,"channels":`+channels+`}` {
		t.Fatalf("got %s, %v; want the subscription acknowledged", text, err)
	}
	return conn
}

// produce sends n stamped values of key k1, and then a marker.
func produce(t *testing.T, seeds []string, n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i := range n + 1 {
		kind := "d"
		if i == n {
			kind = "f"
		}
		value := fmt.Appendf(nil, "~W1%s%s%02d", kind, strings.Repeat("A", stampSize-4), i)
		if err := client.ProduceSync(context.Background(), &kgo.Record{Key: []byte("k1"), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// until reads messages until the marker's and returns the last two bytes of each, or all of what is no record.
func until(t *testing.T, conn *websocket.Conn) (got []string) {
	t.Helper()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return append(got, err.Error())
		}
		_, value, ok := bytes.Cut(text, []byte("\n"))
		switch {
		case !ok:
			got = append(got, string(text))
		case value[stampKindAt] == 'f':
			return got
		case strings.Trim(string(value[4:stampSize]), "A") != "":
			got = append(got, "broken")
		default:
			got = append(got, string(value[len(value)-2:]))
		}
	}
}

// TestEveryDeed: what reaches the client is what was ordered, and the counts say so.
func TestEveryDeed(t *testing.T) {
	held := make(chan struct{})
	fault := func(d Delivery) Action {
		if !d.Data {
			return Action{}
		}
		switch d.Nth {
		case 1:
			return Action{Do: Drop, Notice: 1}
		case 2:
			return Action{Do: Duplicate}
		case 3:
			return Action{Do: Delay}
		case 5:
			return Action{Do: Corrupt}
		case 6:
			return Action{Do: BreakStamp}
		case 7:
			return Action{Do: Foreign, Payload: []byte("weather")}
		case 8:
			return Action{Do: Stray}
		case 9:
			close(held)
			return Action{Do: Stall, Until: held}
		}
		return Action{}
	}
	kafka := Kafka(t, 1, "t")
	g := StartGateway(t, Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Fault: fault})
	conn, other := subscribe(t, g, `["t/k1"]`), subscribe(t, g, `["t/k2"]`)
	produce(t, kafka.ListenAddrs(), 11)
	want := []string{
		// The corrupt one's last byte is one higher.
		"00", `{"type":"notice","kind":"dropped","channel":"t/k1","topic":"t","partition":0,"first_offset":1,"last_offset":1,"count":1}`,
		"02", "02", "04", "03", "06", "broken", "07", "weather", "08", "09", "10",
	}
	if got := until(t, conn); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, text, err := other.ReadMessage(); err != nil || !bytes.HasSuffix(text, []byte("08")) {
		t.Errorf("the other client got %q, %v; want the stray", text, err)
	}
	wantCounts := Counts{Due: 11, Delivered: 9, Duplicate: 1, Reordered: 1, Dropped: 1, Broken: 1, Corrupt: 1, Foreign: 1, Stray: 1, Reported: 1}
	if got := g.Counts(); got != wantCounts {
		t.Errorf("got  %+v\nwant %+v", got, wantCounts)
	}
}

// TestThrownOutAndBack: what is due while the client is away is missed, and it is known when it comes back.
func TestThrownOutAndBack(t *testing.T) {
	kafka := Kafka(t, 1, "t")
	g := StartGateway(t, Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1, Replay: 1, Fault: func(d Delivery) Action {
		if d.Data && d.Client == 0 && d.Nth == 2 {
			return Action{Do: Close, Code: 4001}
		}
		return Action{}
	}})
	conn := subscribe(t, g, `["t"]`)
	produce(t, kafka.ListenAddrs(), 4)
	if got, want := until(t, conn), []string{"00", "01", "websocket: close 4001: thrown out"}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for g.Counts().Missed < 2 { // the marker behind the last of them may come to the new session
		<-tick.C
	}
	back := subscribe(t, g, `["t"]`)
	produce(t, kafka.ListenAddrs(), 3)
	if got := until(t, back); len(got) == 0 || got[0] != "01" {
		t.Errorf("got %q; want the last message again first", got)
	}
	for g.Counts().Due < 7 {
		until(t, back)
	}
	if got, want := g.Counts(), (Counts{Due: 7, Delivered: 5, Missed: 2, ThrownOut: 1, Replayed: 1}); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestStrangersAreNone(t *testing.T) {
	for _, url := range []string{Stranger(t, 404), StrangerTCP(t, "hello\r\n")} {
		if conn, _, err := websocket.DefaultDialer.Dial(url, nil); err == nil {
			_ = conn.Close()
			t.Errorf("%s took a WebSocket", url)
		}
	}
	conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(StrangerTCP(t, ""), "ws://"), "/ws"))
	if err != nil {
		t.Errorf("a stranger that says nothing must take connections: %v", err)
		return
	}
	_ = conn.Close()
	silent, _, err := websocket.DefaultDialer.Dial(SilentTarget(t), nil)
	if err != nil {
		t.Errorf("the silent target must take WebSockets: %v", err)
		return
	}
	_ = silent.Close()
}

// TestBytesAreBinaryFrames: a text frame holds UTF-8 (RFC 6455, section 5.6), and clients that keep the rule end at another.
func TestBytesAreBinaryFrames(t *testing.T) {
	kafka := Kafka(t, 1, "t")
	g := StartGateway(t, Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	conn := subscribe(t, g, `["t"]`)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for value, want := range map[string]int{"text é": websocket.TextMessage, "\x00\xff": websocket.BinaryMessage} {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if kind, frame, err := conn.ReadMessage(); kind != want || err != nil || !bytes.HasSuffix(frame, []byte("\n"+value)) {
			t.Errorf("%q came as %q in a frame of kind %d, %v; want kind %d", value, frame, kind, err, want)
		}
	}
}

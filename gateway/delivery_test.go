package gateway

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Every record comes once and in order, to who is subscribed to its topic, its
// key, or both.
func TestDeliversInOrderOnce(t *testing.T) {
	g := start(t, nil)
	subscribers := []struct {
		channels []string
		keys     []string
	}{
		{[]string{"prices"}, []string{"k0", "k1", "k2", "k3"}},
		{[]string{"prices/k1"}, []string{"k1"}},
		{[]string{"prices/k1", "prices/k3", "prices/absent"}, []string{"k1", "k3"}},
		{[]string{"prices", "prices/k2"}, []string{"k0", "k1", "k2", "k3"}},
		{[]string{"prices/k2", "prices"}, []string{"k0", "k1", "k2", "k3"}},
	}
	clients := make([]*testClient, len(subscribers))
	for i, s := range subscribers {
		clients[i] = g.dial(s.channels...)
	}
	const n = 500
	for round := range 5 {
		for k := range 4 {
			g.produce(int32(k), keyed(fmt.Sprintf("k%d", k), round*n/5, n/5)...)
		}
	}
	for i, s := range subscribers {
		t.Run(fmt.Sprint(s.channels), func(t *testing.T) {
			next := map[string]int{}
			for range n * len(s.keys) {
				m := clients[i].read()
				if m.Type != "message" || m.Key == nil || !slices.Contains(s.keys, *m.Key) {
					t.Fatalf("got %s; want a record of %v", m.Raw, s.keys)
				}
				if got, _ := strconv.Atoi(string(m.Value)); got != next[*m.Key] || m.Offset != int64(got) || m.Partition != int32((*m.Key)[1]-'0') {
					t.Fatalf("got %s; want value %d", m.Raw, next[*m.Key])
				}
				next[*m.Key]++
			}
		})
	}
	s := g.eventually("all are written", func(s Stats) bool { return s.Deliveries == n*(4+1+2+4+4) })
	if s.Records != 4*n || s.Queued != s.Deliveries || s.Dropped+s.Abandoned != 0 || s.KafkaErrors != 0 {
		t.Errorf("stats: got %+v", s)
	}
}

func TestRecordMessage(t *testing.T) {
	g := start(t, nil)
	c := g.dial("prices")
	before := time.Now().UnixNano()
	for _, tt := range []struct {
		name       string
		key, value []byte
		wantKey    string // the field as it stands in the header
		wantBinary bool
	}{
		{"plain", []byte("k7"), []byte(`{"bid":1}`), `,"key":"k7"`, false},
		{"no key", nil, []byte("v"), ``, false},
		{"empty key", []byte{}, []byte("v"), `,"key":""`, false},
		{"escaped key", []byte("a\"b\\c\n\x01é\u2028<"), []byte("v"), `,"key":"a\"b\\c\n\u0001é` + "\u2028" + `<"`, false},
		{"key not UTF-8", []byte{0xff, 0}, []byte("v"), `,"key_base64":"/wA="`, false},
		{"binary value", []byte("k"), []byte{0xff, '\n', 0}, `,"key":"k"`, true},
		{"newlines in value", []byte("k"), []byte("\n\n"), `,"key":"k"`, false},
		{"no value", []byte("k"), nil, `,"key":"k"`, false},
		{"64 KiB value", []byte("k"), make([]byte, 70000), `,"key":"k"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &kgo.Record{Key: tt.key, Value: tt.value}
			g.produce(2, r)
			m := c.read()
			want := fmt.Sprintf(`{"type":"message","topic":"prices","partition":2,"offset":%d%s,"received_at_ns":%d,"queued_at_ns":%d}`+"\n%s",
				r.Offset, tt.wantKey, m.ReceivedAt, m.QueuedAt, tt.value)
			if string(m.Raw) != want {
				t.Errorf("message: got %.300q; want %.300q", m.Raw, want)
			}
			if m.Binary != tt.wantBinary {
				t.Errorf("binary frame: got %t; want %t", m.Binary, tt.wantBinary)
			}
			if now := time.Now().UnixNano(); m.ReceivedAt < before || m.QueuedAt < m.ReceivedAt || now < m.QueuedAt {
				t.Errorf("times: got %d, %d; want rising within %d to %d", m.ReceivedAt, m.QueuedAt, before, now)
			}
		})
	}
}

func TestSubscribeAndUnsubscribe(t *testing.T) {
	g := start(t, func(c *Config) { c.Limits.ChannelsPerClient = 3 })
	c := g.dial()
	for _, tt := range []struct{ send, want string }{
		{`{"type":"subscribe","id":1,"channels":["prices/k7","prices/k7"]}`, `{"type":"subscribed","id":1,"channels":["prices/k7","prices/k7"]}`},
		{`{"type":"subscribe","id":2,"channels":["prices/a","nosuch/k"]}`, `{"type":"error","id":2,"code":"unknown_channel","message":"channel \"nosuch/k\": the gateway consumes no such topic"}`},
		{`{"type":"subscribe","id":0,"channels":["chat","chat/1","chat/2"]}`, `{"type":"error","id":0,"code":"too_many_channels","message":"4 channels are more than a client may have (3)"}`},
		{`{"type":"subscribe","channels":["chat/a/b","chat/"]}`, `{"type":"subscribed","channels":["chat/a/b","chat/"]}`},
		{`{"type":"unsubscribe","id":18446744073709551615,"channels":["prices/k7","prices/never"]}`, `{"type":"unsubscribed","id":18446744073709551615,"channels":["prices/k7","prices/never"]}`},
		{`{"type":"unsubscribe","id":5,"channels":["nosuch"]}`, `{"type":"error","id":5,"code":"unknown_channel","message":"channel \"nosuch\": the gateway consumes no such topic"}`},
	} {
		c.send(tt.send)
		if m := c.read(); string(m.Raw) != tt.want {
			t.Errorf("answer to %s: got %s; want %s", tt.send, m.Raw, tt.want)
		}
	}
	// Of these only the last three may come: the channel of k7 is left, "a" was
	// never joined, and "chat/" is the empty key, not the missing one.
	g.produce(0, &kgo.Record{Key: []byte("k7")}, &kgo.Record{Key: []byte("a")})
	g.produce(0, &kgo.Record{Topic: "chat"}, &kgo.Record{Topic: "chat", Key: []byte{}, Value: []byte("1")},
		&kgo.Record{Topic: "chat", Key: []byte("a/b"), Value: []byte("2")})
	for _, want := range []string{"1", "2"} {
		if m := c.read(); string(m.Value) != want {
			t.Errorf("record: got %s; want value %s", m.Raw, want)
		}
	}
	if s := g.stats(); s.Subscriptions != 2 || s.ErrorsSent != 3 || s.Connections != 1 {
		t.Errorf("stats: got %+v; want 2 subscriptions, 3 errors, 1 connection", s)
	}
}

// A client that stops reading does not hold up the others, nor does it lose
// anything to them when its backlog fits its queue.
func TestSlowClientDoesNotBlockOthers(t *testing.T) {
	g := start(t, func(c *Config) { c.QueueBytes = 64 << 20 })
	stuck, brisk := g.dial("prices"), g.dial("prices")
	const n = 200
	value := make([]byte, 64<<10) // 12.5 MB in all: more than the socket takes
	for i := range n {
		g.produce(0, &kgo.Record{Value: value})
		if m := brisk.read(); m.Offset != int64(i) {
			t.Fatalf("brisk client: got offset %d; want %d", m.Offset, i)
		}
	}
	if s := g.stats(); s.Deliveries == 2*n {
		t.Error("the stuck client was never stuck: the test shows nothing")
	}
	for i := range n {
		if m := stuck.read(); m.Offset != int64(i) {
			t.Fatalf("stuck client: got offset %d; want %d", m.Offset, i)
		}
	}
}

package nulltarget

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
)

// bed is a null target beside an in-process Kafka with the topic t of one partition.
type bed struct {
	t     *testing.T
	addr  string
	kafka *kgo.Client
}

func start(t *testing.T, f Faults) *bed {
	t.Helper()
	cluster := testkit.Kafka(t, 1, "t")
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- Serve(ctx, Options{Listen: "127.0.0.1:0", Seeds: cluster.ListenAddrs(), Topics: []string{"t"}, Faults: f}, func(at net.Addr) { ready <- at })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v at its end; want none", err)
		}
	})
	select {
	case at := <-ready:
		return &bed{t, at.String(), kafka}
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	return nil
}

// write writes the values to a key of the topic, in order.
func (b *bed) write(key string, values ...string) {
	b.t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: "t", Value: []byte(v)}
		if key != "" {
			r.Key = []byte(key)
		}
		if err := b.kafka.ProduceSync(b.t.Context(), r).FirstErr(); err != nil {
			b.t.Fatal(err)
		}
	}
}

// viewer is a client that has been greeted.
type viewer struct {
	*bed
	conn *websocket.Conn
}

func (b *bed) connect() *viewer {
	b.t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+b.addr+"/ws", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(testkit.Patience))
	v := &viewer{b, conn}
	v.wants(`{"type":"hello","protocol":1,"instance":"null"}`)
	return v
}

// follow is a client that has the channel.
func (b *bed) follow(channel string) *viewer {
	b.t.Helper()
	v := b.connect()
	v.send(fmt.Sprintf(`{"type":"subscribe","id":7,"channels":[%q]}`, channel))
	v.wants(fmt.Sprintf(`{"type":"subscribed","id":7,"channels":[%q]}`, channel))
	return v
}

func (v *viewer) send(text string) {
	v.t.Helper()
	if err := v.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		v.t.Fatal(err)
	}
}

func (v *viewer) read() (kind int, text string) {
	v.t.Helper()
	kind, data, err := v.conn.ReadMessage()
	if err != nil {
		v.t.Fatal(err)
	}
	return kind, string(data)
}

var times = regexp.MustCompile(`"(received|queued)_at_ns":\d{19}`)

// wants requires the next message, its times left out.
func (v *viewer) wants(want string) {
	v.t.Helper()
	if _, got := v.read(); times.ReplaceAllString(got, `"$1"`) != want {
		v.t.Errorf("got %s; want %s", got, want)
	}
}

// values reads so many records and returns what stands behind the line of each.
func (v *viewer) values(n int) (values []string) {
	v.t.Helper()
	for range n {
		_, text := v.read()
		line, value, _ := strings.Cut(text, "\n")
		if !strings.HasPrefix(line, `{"type":"message","topic":"t","partition":0,"offset":`) {
			v.t.Fatalf("got %s; want a record", text)
		}
		values = append(values, value)
	}
	return values
}

// data is the k-th data message's value.
func data(k int) string { return fmt.Sprintf("~W1d%03d", k) }

const marker = "~W1f---"

// TestWire: who follows a topic gets all of it, who follows a key that key's records, in the form of docs/PROTOCOL.md.
func TestWire(t *testing.T) {
	b := start(t, Faults{})
	all, key, other := b.follow("t"), b.follow("t/k1"), b.follow("t/k2")
	b.write("k1", "one")
	b.write("k\"2", "two")
	b.write("", "three\nlines")
	b.write("\xff", "four")
	b.write("k2", "\xfe")
	all.wants(`{"type":"message","topic":"t","partition":0,"offset":0,"key":"k1","received","queued"}` + "\none")
	all.wants(`{"type":"message","topic":"t","partition":0,"offset":1,"key":"k\"2","received","queued"}` + "\ntwo")
	all.wants(`{"type":"message","topic":"t","partition":0,"offset":2,"received","queued"}` + "\nthree\nlines")
	all.wants(`{"type":"message","topic":"t","partition":0,"offset":3,"key_base64":"/w==","received","queued"}` + "\nfour")
	key.wants(`{"type":"message","topic":"t","partition":0,"offset":0,"key":"k1","received","queued"}` + "\none")
	if kind, got := other.read(); kind != websocket.BinaryMessage || !strings.HasSuffix(got, "}\n\xfe") {
		t.Errorf("got kind %d, %q; want a binary message, since its value is no text", kind, got)
	}
	b.write("k1", strings.Repeat("x", 70_000)) // a length of eight bytes
	if got := key.values(1); len(got[0]) != 70_000 {
		t.Errorf("got %d bytes; want 70,000", len(got[0]))
	}
	all.send(`{"type":"presence","id":9}`)
	all.wants(`{"type":"message","topic":"t","partition":0,"offset":4,"key":"k2","received","queued"}` + "\n\xfe")
	all.values(1)
	all.wants(`{"type":"error","id":9,"code":"unknown_type","message":"a null target knows subscribe and publish"}`)
}

// TestReady: it answers to who asks whether it is there.
func TestReady(t *testing.T) {
	b := start(t, Faults{})
	resp, err := http.Get("http://" + b.addr + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK || string(body) != `{"status":"ready"}` {
		t.Errorf("got %s, %s; want 200 and ready", resp.Status, body)
	}
	http.DefaultClient.CloseIdleConnections()
}

// TestPublish: what a client publishes is acknowledged with its number, and comes to who follows it, its sender included.
func TestPublish(t *testing.T) {
	b := start(t, Faults{})
	v, other := b.follow("t/k1"), b.follow("t")
	v.send(`{"type":"publish","id":5,"channel":"t/k1","value":"say \"hi\""}`)
	other.wants(`{"type":"message","topic":"t","partition":0,"offset":0,"key":"k1","received","queued"}` + "\nsay \"hi\"")
	var got []string
	for range 2 { // in either order
		_, text := v.read()
		got = append(got, times.ReplaceAllString(text, `"$1"`))
	}
	slices.Sort(got)
	want := []string{`{"type":"message","topic":"t","partition":0,"offset":0,"key":"k1","received","queued"}` + "\nsay \"hi\"", `{"type":"published","id":5,"partition":0,"offset":0}`}
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestPlantedDeeds: exactly the records that the arithmetic names are lost, doubled and swapped, of each client for itself, and
// no marker is.
func TestPlantedDeeds(t *testing.T) {
	b := start(t, Faults{DropEach: 8, DuplicateEach: 8, SwapEach: 8})
	first := b.follow("t/k1")
	b.write("k1", marker, data(1), data(2), data(3), data(4))
	if got, want := first.values(5), []string{marker, data(1), data(2), data(2), data(3)}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q and the fourth held", got, want)
	}
	second := b.follow("t/k1")
	b.write("k1", data(5), data(6), data(7), data(8), data(9), data(10), data(11), data(12), marker)
	if got, want := first.values(10), []string{data(5), data(4), data(6), data(7), data(9), data(10), data(10), data(11), data(12), marker}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	if got, want := second.values(9), []string{data(5), data(6), data(6), data(7), data(9), data(8), data(10), data(11), marker}; !slices.Equal(got, want) {
		t.Errorf("got %q of who came later; want %q", got, want)
	}
}

// stamped is a record's own time of arrival at the target.
func stamped(t *testing.T, text string) time.Time {
	t.Helper()
	line, _, _ := strings.Cut(text, "\n")
	var m struct {
		ReceivedAt int64 `json:"received_at_ns"`
	}
	if err := json.Unmarshal([]byte(line), &m); err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, m.ReceivedAt)
}

// TestPlantedDelay: no record is there before its delay is over.
func TestPlantedDelay(t *testing.T) {
	const delay = 80 * time.Millisecond // with a nap in it
	b := start(t, Faults{Delay: delay})
	v := b.follow("t/k1")
	b.write("k1", data(1), data(2), data(3))
	for range 3 {
		_, text := v.read()
		if got := time.Since(stamped(t, text)); got < delay {
			t.Errorf("got it after %v; want %v at least", got, delay)
		}
	}
}

// TestPlantedStop: from its beginning to its end nothing is delivered, and what came before it is.
func TestPlantedStop(t *testing.T) {
	const after, stop = 400 * time.Millisecond, 300 * time.Millisecond
	b := start(t, Faults{StopAfter: after, StopFor: stop})
	v := b.follow("t/k1")
	b.write("k1", marker, data(0))
	v.values(1) // a marker begins nothing
	_, text := v.read()
	began := stamped(t, text)
	inStop := 0
	for k := 1; ; k++ {
		b.write("k1", data(k))
		_, text := v.read()
		had, got := stamped(t, text).Sub(began), time.Since(began)
		if had >= after && had < after+stop {
			inStop++
			if got < after+stop {
				t.Fatalf("got a record at %v that came at %v; want none before %v", got, had, after+stop)
			}
		}
		if had >= after+stop {
			break
		}
	}
	if inStop == 0 {
		t.Skip("skipped: the machine is busy, and wrote nothing in the time of the stop")
	}
}

// TestPlantedCapacity: deliveries are at least the time of one apart on average, whatever is due, and none is lost.
func TestPlantedCapacity(t *testing.T) {
	const n, capacity = 20, 200
	b := start(t, Faults{Capacity: capacity})
	one, two := b.follow("t/k1"), b.follow("t/k1")
	began := time.Now()
	var values []string
	for k := range n {
		values = append(values, data(k))
	}
	b.write("k1", values...)
	if got := one.values(n); !slices.Equal(got, values) {
		t.Errorf("got %q; want all in order", got)
	}
	if got := two.values(n); !slices.Equal(got, values) {
		t.Errorf("got %q; want all in order", got)
	}
	if least, got := (2*n-1)*time.Second/capacity, time.Since(began); got < least {
		t.Errorf("got %d deliveries in %v; want %v at least", 2*n, got, least)
	}
}

// TestGoneClients: one that has gone is forgotten, and the others get what is theirs.
func TestGoneClients(t *testing.T) {
	b := start(t, Faults{})
	gone, stays := b.follow("t"), b.follow("t")
	_ = gone.conn.Close()
	for k := range 50 {
		b.write("k1", data(k))
	}
	if got := stays.values(50); got[49] != data(49) {
		t.Errorf("got %q last; want %q", got[49], data(49))
	}
}

// TestNoTopic: a topic that is not there is told of, before anything is listened at.
func TestNoTopic(t *testing.T) {
	cluster := testkit.Kafka(t, 1, "t")
	err := Serve(t.Context(), Options{Listen: "127.0.0.1:0", Seeds: cluster.ListenAddrs(), Topics: []string{"u"}}, func(net.Addr) { t.Error("it listens") })
	if err == nil || !strings.Contains(err.Error(), "serve the null target: find the ends of topics u: ") {
		t.Errorf("got %v; want the topic named", err)
	}
	if err := Serve(t.Context(), Options{Faults: Faults{DropEach: 1}}, nil); err == nil || !strings.Contains(err.Error(), "--drop-each 1") {
		t.Errorf("got %v; want the fault refused", err)
	}
}

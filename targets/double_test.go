package targets_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/loadgen"
)

const (
	// channelsHeader is the record header that says which channels a value is published to.
	channelsHeader = "centrifugo-channels"
	flushEvery     = 20 * time.Millisecond
	writeTimeout   = 5 * time.Second

	closeBadRequest = 3501
	closeNoPong     = 3012
)

// pushFault is what a double does with one push.
type pushFault int

const (
	passOn pushFault = iota
	dropIt
	doubleIt
)

// doubleOptions is what a protocol double does beside speaking the protocol.
type doubleOptions struct {
	// fault decides about the nth data push to a client, from 1 on, on the channel; nil passes all.
	fault func(channel string, nth int) pushFault
	// ping says whether a ping goes before the nth data push; none goes while one is unanswered.
	ping func(channel string, nth int) bool
	// pongIn is how long a ping may stay unanswered: 8 s with Centrifugo.
	pongIn time.Duration
}

// doubleCounts is what a double did.
type doubleCounts struct {
	dropped, doubled int64
	missed           int64 // data pushes due to a client that was closed for want of a pong, until it was back
	refused          int64 // records that are not JSON, or name no channel
	severalInOne     int64 // frames with more than one message
	pings, pongs     int64
	closed           int64 // with 3012
}

// double speaks what Centrifugo's bidirectional JSON protocol documents of a server: answers to connect and subscribe,
// pushes of what its Kafka consumer reads, several messages to a frame, pings that must be answered.
type double struct {
	doubleOptions
	url    string
	server *http.Server
	kafka  *kgo.Client
	life   context.Context
	end    context.CancelFunc
	wg     sync.WaitGroup
	calls  sync.WaitGroup // connections
	miss   sync.Once
	first  chan struct{} // closed when the first push was missed

	mu     sync.Mutex
	peers  map[*peer]bool
	away   map[string]bool // channels of clients that were closed and are not back
	counts doubleCounts
}

// peer is one connection; the double's mutex guards it.
type peer struct {
	conn      *websocket.Conn
	connected bool
	channels  map[string]bool
	waiting   [][]byte // messages for the next frame
	pushes    int      // of data
	unmet     *time.Timer
}

// startDouble starts a double that reads the topic from its end on. It ends with the test.
func startDouble(t *testing.T, seeds []string, topic string, partitions int, o doubleOptions) *double {
	t.Helper()
	starts := map[int32]kgo.Offset{}
	for p := range int32(partitions) {
		starts[p] = kgo.NewOffset().AtEnd()
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatalf("make the double's Kafka client: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		kafka.Close()
		t.Fatalf("listen: %v", err)
	}
	d := &double{
		doubleOptions: o, url: "ws://" + listener.Addr().String() + "/connection/websocket", kafka: kafka,
		first: make(chan struct{}), peers: map[*peer]bool{}, away: map[string]bool{},
	}
	d.life, d.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/connection/websocket", d.serve)
	d.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	d.wg.Go(func() { _ = d.server.Serve(listener) })
	d.wg.Go(d.consume)
	d.wg.Go(d.flushAll)
	t.Cleanup(d.close)
	return d
}

func (d *double) close() {
	d.end()
	_ = d.server.Close()
	d.calls.Wait()
	d.wg.Wait()
	d.kafka.Close()
}

// did returns the counts when all clients have gone, so that what they sent before is in them.
func (d *double) did() doubleCounts {
	d.calls.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts
}

// consume publishes what the topic receives.
func (d *double) consume() {
	for d.life.Err() == nil {
		fetches := d.kafka.PollFetches(d.life)
		d.mu.Lock()
		fetches.EachRecord(d.publish)
		d.mu.Unlock()
	}
}

// publish is the publication data mode: the value is the data, the header names the channels.
func (d *double) publish(r *kgo.Record) {
	var channels string
	for _, h := range r.Headers {
		if h.Key == channelsHeader {
			channels = string(h.Value)
		}
	}
	if channels == "" || !json.Valid(r.Value) {
		d.counts.refused++
		return
	}
	var stamp loadgen.Stamp
	at, err := stamp.FindStamp(r.Value, 0)
	data := at >= 0 && err == nil && stamp.Kind == loadgen.KindData
	for channel := range strings.SplitSeq(channels, ",") {
		if d.away[channel] && data {
			d.counts.missed++
			d.miss.Do(func() { close(d.first) })
		}
		for p := range d.peers {
			if p.channels[channel] {
				d.push(p, channel, r.Value, data)
			}
		}
	}
}

func (d *double) push(p *peer, channel string, value []byte, data bool) {
	message := fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s}}}`, channel, value)
	fault := passOn
	if data {
		p.pushes++
		if p.unmet == nil && d.ping != nil && d.ping(channel, p.pushes) {
			d.sendPing(p)
		}
		if d.fault != nil {
			fault = d.fault(channel, p.pushes)
		}
	}
	switch fault {
	case dropIt:
		d.counts.dropped++
	case doubleIt:
		d.counts.doubled++
		p.waiting = append(p.waiting, message, message)
	case passOn:
		p.waiting = append(p.waiting, message)
	}
}

func (d *double) sendPing(p *peer) {
	d.counts.pings++
	p.waiting = append(p.waiting, []byte("{}"))
	p.unmet = time.AfterFunc(d.pongIn, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.peers[p] || p.unmet == nil {
			return
		}
		d.counts.closed++
		for channel := range p.channels {
			d.away[channel] = true
		}
		d.hangUp(p, closeNoPong, "no pong")
	})
}

// hangUp sends what waits and closes the connection.
func (d *double) hangUp(p *peer, code int, reason string) {
	d.flush(p)
	d.forget(p)
	_ = p.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(writeTimeout))
}

func (d *double) forget(p *peer) {
	delete(d.peers, p)
	if p.unmet != nil {
		p.unmet.Stop()
		p.unmet = nil
	}
}

// flushAll sends what waits, so that messages share a frame, until the double ends.
func (d *double) flushAll() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.life.Done():
			return
		case <-tick.C:
		}
		d.mu.Lock()
		for p := range d.peers {
			d.flush(p)
		}
		d.mu.Unlock()
	}
}

func (d *double) flush(p *peer) {
	if len(p.waiting) == 0 {
		return
	}
	if len(p.waiting) > 1 {
		d.counts.severalInOne++
	}
	_ = p.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_ = p.conn.WriteMessage(websocket.TextMessage, bytes.Join(p.waiting, []byte("\n"))) // the reader notices a dead peer
	p.waiting = p.waiting[:0]
}

var upgrader = websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 4096}

// serve is one connection's goroutine.
func (d *double) serve(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	if d.life.Err() != nil {
		d.mu.Unlock()
		return
	}
	d.calls.Add(1) // the server does not wait for it after the upgrade
	d.mu.Unlock()
	defer d.calls.Done()
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(d.life, func() { _ = conn.Close() })()
	conn.SetCloseHandler(func(int, string) error { return nil })
	p := &peer{conn: conn, channels: map[string]bool{}}
	d.mu.Lock()
	d.peers[p] = true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.forget(p)
	}()
	for {
		_, frame, err := conn.ReadMessage()
		if err != nil {
			return
		}
		for command := range bytes.SplitSeq(frame, []byte("\n")) {
			d.command(p, command)
		}
	}
}

// command takes one command, or a pong.
func (d *double) command(p *peer, text []byte) {
	var c struct {
		ID        int             `json:"id"`
		Connect   json.RawMessage `json:"connect"`
		Subscribe *struct {
			Channel string `json:"channel"`
		} `json:"subscribe"`
	}
	err := json.Unmarshal(text, &c)
	if c.Subscribe != nil {
		d.awaitMiss(c.Subscribe.Channel)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.peers[p]: // closed, and its close frame under way
	case err == nil && string(text) == "{}" && p.unmet != nil:
		d.counts.pongs++
		p.unmet.Stop()
		p.unmet = nil
	case err == nil && c.ID > 0 && c.Connect != nil && !p.connected:
		p.connected = true
		p.waiting = append(p.waiting, fmt.Appendf(nil, `{"id":%d,"connect":{"client":"c","version":"6","ping":25,"pong":true}}`, c.ID))
	case err == nil && c.ID > 0 && c.Subscribe != nil && p.connected && !p.channels[c.Subscribe.Channel]:
		p.waiting = append(p.waiting, fmt.Appendf(nil, `{"id":%d,"subscribe":{}}`, c.ID))
		p.channels[c.Subscribe.Channel] = true
		delete(d.away, c.Subscribe.Channel)
	default:
		d.hangUp(p, closeBadRequest, "bad request")
	}
}

// awaitMiss holds up a client that comes back to a channel until it has missed something on it.
func (d *double) awaitMiss(channel string) {
	d.mu.Lock()
	away := d.away[channel]
	d.mu.Unlock()
	if !away {
		return
	}
	select {
	case <-d.first:
	case <-d.life.Done():
	}
}

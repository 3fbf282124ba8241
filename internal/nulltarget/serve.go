package nulltarget

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options is what a null target is made of.
type Options struct {
	Listen string   // host:port of a loopback address
	Seeds  []string // of Kafka, host:port
	Topics []string // that it reads, by their names in Kafka; each must be there
	Faults Faults
}

const (
	kafkaTimeout  = 10 * time.Second // for the topics' ends, at the start
	headerTimeout = 10 * time.Second // for a handshake's request
	maxRequest    = 1 << 20          // bytes of a client's message
)

// target is a null target that serves.
type target struct {
	kafka   *kgo.Client
	faults  Faults
	shards  []*shard
	clients atomic.Uint64 // that have come

	life context.Context
	wg   sync.WaitGroup // of connections

	mu      sync.Mutex
	serving map[net.Conn]bool
}

// Serve runs a null target until ctx ends, and then returns nil. It listens once the ends of its topics are known, so that
// whoever is connected gets all that is written from then on. ready, which may be nil, is called with its address.
func Serve(ctx context.Context, o Options, ready func(net.Addr)) error {
	fail := func(err error) error { return fmt.Errorf("serve the null target: %w", err) }
	if err := errors.Join(o.Faults.Validate(), loopback(o.Listen)); err != nil {
		return fail(err)
	}
	ends, err := endsOf(ctx, o)
	if err != nil {
		return fail(err)
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(o.Seeds...), kgo.ConsumePartitions(ends), kgo.ProducerLinger(0),
		kgo.FetchMaxWait(200*time.Millisecond), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		return fail(err)
	}
	defer kafka.Close()
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return fail(err)
	}
	life, end := context.WithCancel(ctx)
	defer end()
	t := &target{kafka: kafka, faults: o.Faults, life: life, serving: map[net.Conn]bool{}}
	for range writers(o.Faults) {
		t.shards = append(t.shards, newShard(o.Faults))
	}
	if ready != nil {
		ready(listener.Addr())
	}
	return t.serve(listener, end)
}

// loopback is an error where an address is one that others reach.
func loopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("listen at %s: its host is not loopback (listen at 127.0.0.1:0)", address)
	}
	return nil
}

// writers is how many goroutines write. What is planted has one order, and one account; with nothing planted half of the
// processors leave the other half to who measures.
func writers(f Faults) int {
	if f.timed() || f.altering() {
		return 1
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// endsOf finds where each partition ends now: what is written later is to be read.
func endsOf(ctx context.Context, o Options) (map[string]map[int32]kgo.Offset, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(o.Seeds...))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, kafkaTimeout)
	defer cancel()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, o.Topics...)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find the ends of topics %s: %w", strings.Join(o.Topics, ", "), err)
	}
	ends := map[string]map[int32]kgo.Offset{}
	for _, topic := range o.Topics {
		if len(listed[topic]) == 0 {
			return nil, fmt.Errorf("find the end of topic %s: it has no partitions", topic)
		}
		ends[topic] = map[int32]kgo.Offset{}
		for partition, end := range listed[topic] {
			ends[topic][partition] = kgo.NewOffset().At(end.Offset)
		}
	}
	return ends, nil
}

// serve returns when life has ended, or the server, and every goroutine with it.
func (t *target) serve(listener net.Listener, end context.CancelFunc) error {
	server := &http.Server{Handler: t.routes(), ReadHeaderTimeout: headerTimeout}
	var parts sync.WaitGroup
	for _, s := range t.shards {
		parts.Go(func() { s.run(t.life) })
	}
	var fetched error
	parts.Go(func() {
		fetched = t.consume()
		end() // without records it would be silent, and look alive
	})
	stop := context.AfterFunc(t.life, func() { _ = server.Close() })
	err := server.Serve(listener)
	// 1. No connection is taken any more; 2. those that are there end; 3. the consumer ends, and closes the shards' queues.
	stop()
	end()
	_ = server.Close()
	t.closeAll()
	t.wg.Wait()
	parts.Wait()
	if fetched != nil {
		return fmt.Errorf("serve the null target: %w", fetched)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the null target: %w", err)
}

func (t *target) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", t.connect)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"status":"ready"}`)) })
	return mux
}

// consume hands each fetch to all shards until the target ends, or a fetch fails for good.
func (t *target) consume() error {
	defer func() {
		for _, s := range t.shards {
			close(s.queue)
		}
	}()
	var e encoder
	for t.life.Err() == nil {
		fetches := t.kafka.PollFetches(t.life)
		if err := fetches.Err(); err != nil && t.life.Err() == nil {
			return fmt.Errorf("read Kafka: %w", err)
		}
		at := time.Now()
		records := make([]record, 0, fetches.NumRecords())
		fetches.EachRecord(func(r *kgo.Record) { records = append(records, e.record(r, at)) })
		if len(records) == 0 {
			continue
		}
		for _, s := range t.shards {
			select {
			case s.queue <- records:
			case <-t.life.Done():
			}
		}
	}
	return nil
}

var upgrader = websocket.Upgrader{ReadBufferSize: 512, WriteBufferSize: 512}

// connect is a connection's goroutine.
func (t *target) connect(w http.ResponseWriter, r *http.Request) {
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	if !t.enter(conn.NetConn()) {
		_ = conn.Close()
		return
	}
	defer t.exit(conn.NetConn())
	conn.SetReadLimit(maxRequest)
	s := t.shards[t.clients.Add(1)%uint64(len(t.shards))]
	c := &client{conn: conn.NetConn()}
	defer s.leave(c)
	if writeSoon(c.conn, text([]byte(`{"type":"hello","protocol":1,"instance":"null"}`))) != nil {
		return
	}
	for {
		_, message, err := conn.ReadMessage()
		if err != nil || t.request(s, c, message) != nil {
			return
		}
	}
}

// enter books a connection, which closeAll then closes; false where the target has ended.
func (t *target) enter(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.serving == nil {
		return false
	}
	t.serving[conn] = true
	t.wg.Add(1)
	return true
}

func (t *target) exit(conn net.Conn) {
	_ = conn.Close()
	t.mu.Lock()
	delete(t.serving, conn)
	t.mu.Unlock()
	t.wg.Done()
}

func (t *target) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for conn := range t.serving {
		_ = conn.Close()
	}
	t.serving = nil
}

// channel is a topic, or a key of one.
type channel struct {
	topic, key string
	keyed      bool
}

func channelOf(name string) channel {
	topic, key, keyed := strings.Cut(name, "/")
	return channel{topic, key, keyed}
}

// request answers what a client asks for. An error ends the connection.
func (t *target) request(s *shard, c *client, message []byte) error {
	var r struct {
		Type     string          `json:"type"`
		ID       json.RawMessage `json:"id"`
		Channels []string        `json:"channels"`
		Channel  string          `json:"channel"`
		Value    string          `json:"value"`
	}
	if err := json.Unmarshal(message, &r); err != nil {
		return err
	}
	if len(r.ID) == 0 {
		r.ID = json.RawMessage("0")
	}
	switch r.Type {
	case "subscribe":
		var channels []channel
		for _, name := range r.Channels {
			channels = append(channels, channelOf(name))
		}
		names, _ := json.Marshal(r.Channels) // strings always can be
		return s.follow(c, channels, text(fmt.Appendf(nil, `{"type":"subscribed","id":%s,"channels":%s}`, r.ID, names)))
	case "publish":
		t.publish(c, r.ID, channelOf(r.Channel), r.Value)
		return nil
	}
	return writeSoon(c.conn, text(fmt.Appendf(nil, `{"type":"error","id":%s,"code":"unknown_type","message":"a null target knows subscribe and publish"}`, r.ID)))
}

// publish writes to Kafka and answers when that has acknowledged.
func (t *target) publish(c *client, id json.RawMessage, to channel, value string) {
	r := &kgo.Record{Topic: to.topic, Value: []byte(value)}
	if to.keyed {
		r.Key = []byte(to.key)
	}
	t.kafka.Produce(t.life, r, func(r *kgo.Record, err error) {
		answer := fmt.Appendf(nil, `{"type":"published","id":%s,"partition":%d,"offset":%d}`, id, r.Partition, r.Offset)
		if err != nil {
			answer = fmt.Appendf(nil, `{"type":"undetermined","id":%s,"code":"kafka","message":"Kafka did not take it"}`, id)
		}
		_ = writeSoon(c.conn, text(answer)) // a client that has gone wants no answer
	})
}

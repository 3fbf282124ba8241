package testkit

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Resume makes a gateway that gives clients that come back what they missed, and what is wrong with it. Clients name
// themselves in a field "client" of their subscriptions.
type Resume struct {
	// Shift moves the beginning of each replay by so many data messages: above 0 it begins too late, below too early.
	Shift int
	// Skip says resumed and replays nothing; Forget says that what was missed is lost, and replays nothing.
	Skip, Forget bool
	// PositionsEvery tells all clients their positions after each so many records; 0 never.
	PositionsEvery int
}

// resuming is what a gateway that resumes keeps: all that it read, by topic and partition.
type resuming struct {
	Resume
	starts map[string][]int64
	logs   map[string][][]*record
	read   int
}

// epoch is the topics' own in this gateway's life.
const epoch = "AAAAAAAAAAAAAAAAAAAAAQ"

// place is a topic's positions as they are told.
type place struct {
	Epoch string           `json:"epoch"`
	Next  map[string]int64 `json:"next"`
}

// startsOf fixes where the gateway begins to read.
func startsOf(t testing.TB, o Options) (starts map[string][]int64, consume map[string]map[int32]kgo.Offset) {
	t.Helper()
	if len(o.Topics) == 0 {
		return nil, nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(o.Seeds...))
	if err != nil {
		t.Fatalf("make a Kafka client: %v", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, o.Topics...)
	if err != nil {
		t.Fatalf("list the ends of %v: %v", o.Topics, err)
	}
	starts, consume = map[string][]int64{}, map[string]map[int32]kgo.Offset{}
	for _, topic := range o.Topics {
		consume[topic] = map[int32]kgo.Offset{}
		for p := range int32(o.Partitions) {
			end, _ := ends.Lookup(topic, p)
			starts[topic] = append(starts[topic], end.Offset)
			consume[topic][p] = kgo.NewOffset().At(end.Offset)
		}
	}
	return starts, consume
}

// next is up to where a partition was read.
func (r *resuming) next(topic string, partition int) int64 {
	if log := r.logs[topic][partition]; len(log) > 0 {
		return log[len(log)-1].Offset + 1
	}
	return r.starts[topic][partition]
}

// keep remembers a record and reports whether positions are to be told behind it.
func (r *resuming) keep(rec *record) (tell bool) {
	if r.logs[rec.Topic] == nil {
		r.logs[rec.Topic] = make([][]*record, len(r.starts[rec.Topic]))
	}
	r.logs[rec.Topic][rec.Partition] = append(r.logs[rec.Topic][rec.Partition], rec)
	r.read++
	return r.PositionsEvery > 0 && r.read%r.PositionsEvery == 0
}

// positions are those of all topics.
func (r *resuming) positions() []byte {
	all := map[string]place{}
	for topic, starts := range r.starts {
		if r.logs[topic] == nil {
			r.logs[topic] = make([][]*record, len(starts))
		}
		here := place{epoch, map[string]int64{}}
		for p := range starts {
			here.Next[strconv.Itoa(p)] = r.next(topic, p)
		}
		all[topic] = here
	}
	b, _ := json.Marshal(all)
	return b
}

// tell sends all clients that are there their positions.
func (g *Gateway) tell() {
	frame := fmt.Appendf(nil, `{"type":"positions","positions":%s}`, g.resume.positions())
	for _, c := range g.clients {
		if c.conn != nil {
			g.send(c, outgoing{frame: frame})
		}
	}
}

// subscribeResuming answers a subscription and gives a client that came back what it missed. All of it happens with the
// gateway locked, so that nothing comes between the replay and what is live.
func (g *Gateway) subscribeResuming(conn *websocket.Conn, id int, name string, channels []string, resume map[string]place) error {
	c := g.named(conn, name, channels)
	if resume == nil {
		return write(conn, fmt.Appendf(nil, `{"type":"subscribed","id":%d,"positions":%s}`, id, g.resume.positions()))
	}
	missed := g.missed(c, resume)
	says := "true"
	if g.resume.Forget {
		says = `false,"lost":{"t":{"0":{"first":0,"last":0}}}`
	}
	if err := write(conn, fmt.Appendf(nil, `{"type":"subscribed","id":%d,"resumed":%s,"positions":%s}`, id, says, g.resume.positions())); err != nil {
		return err
	}
	if g.resume.Forget || g.resume.Skip {
		for _, rec := range missed {
			g.countData(rec, &g.counts.Due)
			g.countData(rec, &g.counts.Missed)
		}
		missed = nil
	}
	for _, rec := range missed {
		if c.conn != conn {
			return nil // a Fault threw it out
		}
		g.countData(rec, &g.counts.Replayed)
		g.replayed = true
		g.offer(c, rec)
		g.replayed = false
	}
	if c.conn != conn {
		return nil
	}
	return write(conn, fmt.Appendf(nil, `{"type":"caught_up","id":%d}`, id))
}

// named returns the client of that name, who has this connection from now on.
func (g *Gateway) named(conn *websocket.Conn, name string, channels []string) *client {
	for _, c := range g.clients {
		if c.names == name {
			c.conn = conn
			return c
		}
	}
	c := &client{conn: conn, number: -1, names: name, channels: map[string]bool{}, streams: map[string]*stream{}}
	for _, ch := range channels {
		c.channels[ch] = true
	}
	g.clients = append(g.clients, c)
	return c
}

// missed lists what the client did not get by its own positions, with the beginning shifted by order: partition after
// partition, in order within each.
func (g *Gateway) missed(c *client, resume map[string]place) (missed []*record) {
	shift := g.resume.Shift
	for _, topic := range g.options.Topics {
		for p, log := range g.resume.logs[topic] {
			next, ok := resume[topic].Next[strconv.Itoa(p)]
			if !ok {
				continue
			}
			var before, behind []*record
			for _, rec := range log {
				channel := c.follows(rec.Record)
				if channel == "" {
					continue
				}
				rec = &record{rec.Record, channel, rec.receivedAt, rec.data}
				if rec.Offset < next {
					before = append(before, rec)
				} else {
					behind = append(behind, rec)
				}
			}
			for ; shift < 0 && len(before) > 0; before = before[:len(before)-1] {
				last := before[len(before)-1]
				if last.data {
					shift++
					g.counts.Due-- // it was due before
				}
				behind = slices.Insert(behind, 0, last)
			}
			for i := 0; shift > 0 && i < len(behind); {
				if !behind[i].data {
					i++
					continue
				}
				shift--
				g.counts.Due++
				g.counts.Dropped++
				behind = slices.Delete(behind, i, i+1)
			}
			missed = append(missed, behind...)
		}
	}
	return missed
}

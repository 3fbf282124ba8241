package testkit

import (
	"fmt"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kgo"
)

// PublishFault decides what becomes of each data message that a client publishes. It is called by one goroutine at a time
// and must not wait.
type PublishFault func(Publish) PublishDeed

// Publish is one data message on its way to Kafka.
type Publish struct {
	// Nth is how many data messages were published before it, by all clients.
	Nth     int
	Channel string
	Value   []byte // shared: not to be changed
}

// PublishDeed is what is done with a published message.
type PublishDeed int

// The deeds. Markers are passed whatever happens to data.
const (
	PassOn         PublishDeed = iota // written, then acknowledged
	LosePublish                       // acknowledged and not written
	DoublePublish                     // written twice, then acknowledged
	DelayPublish                      // written and acknowledged right after the client's next data message
	RefusePublish                     // not written, and said so
	LieAboutRefuse                    // written, and said not to be
	LeaveOpen                         // written, and said to be undetermined
	Unanswered                        // written, and never answered
	LoseUnanswered                    // neither written nor answered
	CloseAfter                        // written, and the connection closed without an answer
	CloseBefore                       // not written, and the connection closed without an answer
	StopReading                       // not written, and nothing more is read of the client
)

// PublishCounts is what the gateway did with published data messages.
type PublishCounts struct {
	Published int64 // read from clients
	Written   int64 // copies that Kafka acknowledged
	Acked     int64
	Refused   int64
	Left      int64 // answered as undetermined
}

// publish is a client's request.
type publish struct {
	ID      uint64 `json:"id"`
	Channel string `json:"channel"`
	Value   string `json:"value"`
}

// PublishCounts is what the gateway did so far.
func (g *Gateway) PublishCounts() PublishCounts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.published
}

// takePublish does with a request what the PublishFault says. later is what the client has delayed.
func (g *Gateway) takePublish(conn *websocket.Conn, p publish, later *[]publish) error {
	data := isData([]byte(p.Value))
	deed := PassOn
	g.mu.Lock()
	if data {
		if g.options.PublishFault != nil {
			deed = g.options.PublishFault(Publish{int(g.published.Published), p.Channel, []byte(p.Value)})
		}
		g.published.Published++
	}
	g.mu.Unlock()
	if err := g.doPublish(conn, p, deed, data, later); err != nil {
		return err
	}
	if !data || deed == DelayPublish {
		return nil
	}
	delayed := *later
	*later = nil
	for _, d := range delayed {
		if err := g.doPublish(conn, d, PassOn, true, later); err != nil {
			return err
		}
	}
	return nil
}

func (g *Gateway) doPublish(conn *websocket.Conn, p publish, deed PublishDeed, data bool, later *[]publish) error {
	copies, answer := 1, "published"
	switch deed {
	case LosePublish:
		copies = 0
	case DoublePublish:
		copies = 2
	case DelayPublish:
		*later = append(*later, p)
		return nil
	case RefusePublish:
		copies, answer = 0, "refused"
	case LieAboutRefuse:
		answer = "refused"
	case LeaveOpen:
		answer = "undetermined"
	case Unanswered:
		answer = ""
	case LoseUnanswered:
		return nil
	case CloseBefore:
		return errRequest
	case StopReading:
		<-g.life.Done()
		return errRequest
	}
	for range copies {
		if err := g.write(p, data); err != nil {
			return err
		}
	}
	if deed == CloseAfter {
		return errRequest
	}
	if answer == "" {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if data {
		*map[string]*int64{"published": &g.published.Acked, "refused": &g.published.Refused, "undetermined": &g.published.Left}[answer]++
	}
	return write(conn, fmt.Appendf(nil, `{"type":%q,"id":%d,"partition":0,"offset":0}`, answer, p.ID))
}

// write produces the value to the channel's topic, by its key where it has one.
func (g *Gateway) write(p publish, data bool) error {
	topic, key, keyed := strings.Cut(p.Channel, "/")
	r := &kgo.Record{Topic: topic, Value: []byte(p.Value)}
	if keyed {
		r.Key = []byte(key)
	}
	if err := g.kafka.ProduceSync(g.life, r).FirstErr(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if data {
		g.published.Written++
	}
	return nil
}

package loadgen

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// oneClient is a swarm of one client of the plan's, without sockets and brokers.
func oneClient(t *testing.T, plan *scenarios.Plan) *client {
	t.Helper()
	same := func(s string) string { return "run-" + s }
	topo, err := newTopology(plan, 77, same, map[string]int{"t": plan.Kafka.Topics[0].Partitions})
	if err != nil {
		t.Fatal(err)
	}
	shape := &topo.producers[0]
	p := &producer{shape: shape, run: topo.run, join: newPending(shape.partitions, shape.keys), final: newPending(shape.partitions, shape.keys), ledger: newLedgerOf(shape)}
	seen := [][]*sightings{nil}
	for range shape.partitions {
		seen[0] = append(seen[0], newSightings(2))
	}
	s, err := newSwarm(topo, Options{Plan: plan, URL: "ws://127.0.0.1:1/", TopicName: same, Workers: 1}, []*producer{p}, seen, oneRecorder())
	if err != nil {
		t.Fatal(err)
	}
	s.loadUnix.Store(0)
	s.phase.Store(0)
	return s.clients[0]
}

// says is what a client sends once it is connected.
func (c *client) says() string {
	frame := c.worker.swarm.greeting(c)
	length := len(frame) - 6
	if length >= 126 {
		length -= 2
	}
	text := bytes.Clone(frame[len(frame)-length:])
	for i := range text {
		text[i] ^= "weir"[i&3]
	}
	return string(text)
}

func (c *client) counted(counter int) (n int64) {
	m := c.worker.meter
	for cell := range m.layout.cells {
		n += m.counts[cell*len(m.layout.counters)+counter]
	}
	return n
}

func (c *client) recorded(stage int) (n int64) {
	m := c.worker.meter
	for cell := range m.layout.cells {
		if r := m.slots[cell*len(m.layout.stages)+stage]; r != nil {
			n++
		}
	}
	return n
}

// TestComeback follows one client through sessions: what it says when it comes back is what it was told and what arrived.
func TestComeback(t *testing.T) {
	const fresh = `{"type":"subscribe","id":1,"channels":["run-t"],"resume":{}}`
	told := func(next string) string {
		return `{"type":"subscribe","id":1,"channels":["run-t"],"resume":{"run-t":{"epoch":"e","next":{` + next + `}}}}`
	}
	record := func(partition, offset string) string {
		value := stamped(Stamp{Kind: KindData, Run: 77, Key: NoKey, DueAt: 5}, 90, 0)
		return `{"type":"message","topic":"run-t","partition":` + partition + `,"offset":` + offset + "}\n" + string(value)
	}
	answer := func(says, next string) string {
		return `{"type":"subscribed","id":1,` + says + `"positions":{"run-t":{"epoch":"e","next":{` + next + `}}}}`
	}
	for _, c := range []struct {
		name              string
		first, second     []string // what comes in two sessions
		secondSays, third string   // what the client says when they begin again
		resumed, failed   int64
		caughtUp          bool
	}{
		{"nothing came", nil, nil, fresh, fresh, 0, 0, false},
		{"records alone", []string{record("0", "7"), record("2", "4"), record("0", "5")}, nil, `{"type":"subscribe","id":1,"channels":["run-t"],"resume":{"run-t":{"epoch":"","next":{"0":8,"2":5}}}}`,
			`{"type":"subscribe","id":1,"channels":["run-t"],"resume":{"run-t":{"epoch":"","next":{"0":8,"2":5}}}}`, 0, 0, false},
		{"thrown out before the replay came", []string{answer("", `"0":7,"1":2`), record("0", "7")}, []string{answer(`"resumed":true,`, `"0":20,"1":30,"2":4`)},
			told(`"0":8,"1":2`), told(`"0":8,"1":2,"2":4`), 1, 0, false},
		{"quiet, and told from time to time", []string{answer("", `"0":7,"1":2`), `{"type":"positions","positions":{"run-t":{"epoch":"e","next":{"0":90,"1":80}}}}`},
			[]string{answer(`"resumed":true,`, `"0":95,"1":99`), `{"type":"caught_up","id":1}`}, told(`"0":90,"1":80`), told(`"0":90,"1":80`), 1, 0, true},
		{"too old", []string{answer("", `"0":7,"1":2`)}, []string{answer(`"resumed":false,"lost":{"run-t":{"0":{"first":7,"last":19}}},`, `"0":20,"1":2`), `{"type":"caught_up","id":1}`},
			told(`"0":7,"1":2`), told(`"0":7,"1":2`), 0, 1, false},
		{"another topic of the name", []string{answer("", `"0":7`)}, []string{strings.Replace(answer(`"resumed":false,`, `"1":3`), `"e"`, `"f"`, 1)},
			told(`"0":7`), strings.Replace(told(`"1":3`), `"e"`, `"f"`, 1), 0, 1, false},
		{"refused", []string{answer("", `"0":7`)}, []string{`{"type":"error","id":1}`}, told(`"0":7`), told(`"0":7`), 0, 1, false},
		{"a record that looks like an answer", []string{`{"type":"message","topic":"x"}` + "\n" + answer("", `"0":7`)}, nil, fresh, fresh, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := enginePlan("", nil)
			plan.Kafka.Topics[0].Partitions, plan.Clients[0].Count, plan.Clients[0].Resume, plan.Gateway.Guarantees.Resumes = 3, 1, true, true
			client := oneClient(t, plan)
			s := client.worker.swarm
			session := func(messages []string) (says string) {
				client.dialling(1)
				s.begin(client)
				says = client.says()
				for _, m := range messages {
					client.worker.takeMessage(client, []byte(m), 1<<40, true)
				}
				s.thrownOut(client, errClosed)
				return says
			}
			got := [3]string{session(c.first), session(c.second), session(nil)}
			if want := [3]string{fresh, c.secondSays, c.third}; got != want {
				t.Errorf("it said %s\nwant    %s", got, want)
			}
			if r, f := client.counted(countResumed), client.counted(countResumeFailed); r != c.resumed || f != c.failed || client.counted(countReturns) != 2 {
				t.Errorf("got %d resumed, %d failed of %d returns; want %d, %d of 2", r, f, client.counted(countReturns), c.resumed, c.failed)
			}
			if got := client.recorded(stageCaughtUp) > 0; got != c.caughtUp {
				t.Errorf("caught up: %v; want %v", got, c.caughtUp)
			}
		})
	}
}

package loadgen

import (
	"fmt"
	"testing"

	"github.com/weirbench/weir/results"
)

// latencies are how many values of a stage were recorded, and their sum, ns.
func (c *client) latencies(stage int) (n, sum int64) {
	m := c.worker.meter
	for cell := range m.layout.cells {
		if r := m.slots[cell*len(m.layout.stages)+stage]; r != nil {
			s := r.Series(results.StageE2E, results.Label{})
			n, sum = n+s.Count(), sum+s.SumNS
		}
	}
	return n, sum
}

// TestTheTargetsOwnDelayStaysInE2E plants delays around absences by plan. Reviewers found that an absence took all that
// was due before the return out of e2e: what the target was behind with when the client left, and what it held back from a
// client that it threw out of the replay.
func TestTheTargetsOwnDelayStaysInE2E(t *testing.T) {
	const positions = `"positions":{"run-t":{"epoch":"e","next":{"0":0}}}}`
	const second = int64(1e9)
	type step struct {
		what    string // leave, dial, answer, thrown, refused (a dial), or a delivery:
		dueAt   int64
		arrives int64
	}
	for _, c := range []struct {
		name   string
		steps  []step
		e2e    []int64 // s
		replay []int64
	}{
		{"all was in time", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 12, 15}, {"", 14, 15}, {"", 16, 17},
		}, []int64{1}, []int64{3, 1}},
		{"on its way when it left", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 9, 16},
		}, []int64{1 + 1}, []int64{7}},
		{"behind before it left", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 3, 15}, {"", 12, 15},
		}, []int64{7}, []int64{12, 3}},
		{"and behind when it was back", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 3, 20}, {"", 12, 20}, {"", 16, 20},
		}, []int64{12, 4}, []int64{17, 8}},
		{"thrown out of the replay", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 11, 15}, {"thrown", 0, 16}, {"dial", 0, 20}, {"answer", 0, 20}, {"", 12, 21}, {"", 18, 21},
		}, []int64{21 - 12 - 3, 3}, []int64{4, 9, 3}},
		{"its return was refused for long", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"refused", 0, 15}, {"dial", 0, 20}, {"answer", 0, 20}, {"", 12, 20}, {"", 17, 20},
		}, []int64{5, 3}, []int64{8, 3}},
		{"its subscription was answered late", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 19}, {"", 12, 19}, {"", 17, 19},
		}, []int64{2}, []int64{7, 2}},
		{"thrown out before it was to leave", []step{
			{"thrown", 0, 8}, {"dial", 0, 9}, {"refused", 0, 9}, {"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 9, 15}, {"", 12, 15},
		}, []int64{1}, []int64{6, 3}},
		{"late over two absences", []step{
			{"leave", 0, 10}, {"dial", 0, 15}, {"answer", 0, 15}, {"leave", 0, 16}, {"dial", 0, 20}, {"answer", 0, 20}, {"", 9, 21}, {"", 12, 21}, {"", 15, 21},
		}, []int64{1 + 1 + 1, 1 + 1}, []int64{12, 9, 6}},
		{"a dial of the stay before ended late", []step{
			{"thrown", 0, 8}, {"leave", 0, 10}, {"dial", 0, 9}, {"dial", 0, 15}, {"answer", 0, 15}, {"", 12, 15},
		}, nil, []int64{3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := enginePlan("", nil)
			plan.Clients[0].Count, plan.Clients[0].Resume, plan.Gateway.Guarantees.Resumes = 1, true, true
			client := oneClient(t, plan)
			s, w, b := client.worker.swarm, client.worker, client.comeback
			w.meter = newMeter(w.meter.layout, newRecorderPool())
			s.begin(client)
			w.takeMessage(client, []byte(`{"type":"subscribed",`+positions), 1, true)
			b.resumed = true // what comes first is joined
			for i, step := range c.steps {
				at := step.arrives * second
				switch step.what {
				case "leave":
					b.away(true, at)
				case "thrown", "refused":
					b.away(false, at)
				case "dial":
					client.dialling(at)
				case "answer":
					client.sessions++
					b.awaiting = true
					w.takeMessage(client, []byte(`{"type":"subscribed","resumed":true,`+positions), at, true)
				default:
					data := stamped(Stamp{Kind: KindData, Run: 77, Key: NoKey, PartSeq: uint64(i), DueAt: step.dueAt * second, SentAt: step.dueAt * second}, 90, 0)
					w.takeMessage(client, data, at, true)
				}
			}
			for _, stage := range []struct {
				name  string
				index int
				want  []int64
			}{{"e2e", stageE2E, c.e2e}, {"e2e_uncorrected", stageUncorrected, c.e2e}, {"replay", stageReplay, c.replay}} {
				want := int64(0)
				for _, v := range stage.want {
					want += v * second
				}
				if n, sum := client.latencies(stage.index); n != int64(len(stage.want)) || sum != want {
					t.Errorf("%s has %d deliveries, %v s in all; want %v", stage.name, n, float64(sum)/1e9, stage.want)
				}
			}
			if got, want := client.counted(countReplayedLeave)+int64(len(c.e2e)), client.counted(countDelivered); got != want {
				t.Errorf("%d are in e2e or in replay alone; %d were delivered", got, want)
			}
		})
	}
}

// TestCaughtUpIsNotGuessed: where the target does not say that it has given all, nobody knows. A live message of one stream
// was taken for it, while others were still behind.
func TestCaughtUpIsNotGuessed(t *testing.T) {
	for _, says := range []bool{true, false} {
		t.Run(fmt.Sprintf("the target says it %v", says), func(t *testing.T) {
			plan := enginePlan("", nil)
			plan.Clients[0].Count, plan.Clients[0].Resume, plan.Gateway.Guarantees.Resumes = 1, true, true
			if !says {
				plan.Gateway.Profile.Resume.CaughtUp = ""
			}
			c := oneClient(t, plan)
			take := func(message string, at int64) { c.worker.takeMessage(c, []byte(message), at, true) }
			data := func(seq uint64, dueAt int64) string {
				return string(stamped(Stamp{Kind: KindData, Run: 77, Key: NoKey, PartSeq: seq, DueAt: dueAt}, 90, 0))
			}
			const positions = `"positions":{"run-t":{"epoch":"e","next":{"0":0}}}}`
			s := c.worker.swarm
			s.begin(c)
			take(`{"type":"subscribed",`+positions, 10)
			take(data(0, 5), 11)
			s.left(c)
			s.arrive(c)
			leftAt := c.comeback.leftAt
			c.dialling(leftAt + 2)
			s.begin(c)
			backAt := c.comeback.backAt + 1_000_000
			take(`{"type":"subscribed","resumed":true,`+positions, backAt)
			take(data(1, leftAt+1), backAt+1)
			take(data(2, backAt), backAt+2)
			take(`{"type":"caught_up","id":1}`, backAt+3)
			if got := c.recorded(stageCaughtUp) > 0; got != says {
				t.Errorf("caught up: %v; want %v", got, says)
			}
			if c.recorded(stageReplay) != 1 || c.counted(countReplayedLeave) != 1 {
				t.Errorf("%d replayed, %d of them in no e2e; want 1, 1", c.recorded(stageReplay), c.counted(countReplayedLeave))
			}
			if early := c.counted(countEarly); early != 1 { // before its first marker, and before it ever left
				t.Errorf("%d are early; want the 1 from before the first subscription was in force", early)
			}
		})
	}
}

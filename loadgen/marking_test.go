package loadgen

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/scenarios"
)

// markersByKey counts the join markers that a producer hands over.
type markersByKey struct {
	sent map[string]int
	last int64 // when the last was sent
}

func (m *markersByKey) OnProduceRecordBuffered(r *kgo.Record) {
	if at := bytes.Index(r.Value, []byte("~W1")); at >= 0 && r.Value[at+3] == byte(KindJoin) {
		m.sent[string(r.Key)]++
		m.last = r.Context.(*message).sentAt
	}
}

// markedProducer is a producer whose keys have so many followers each, who all wait.
type markedProducer struct {
	*producer
	markers *markersByKey
	now     time.Time
}

const followersEach = 100

func newMarkedProducer(t *testing.T, keys int) *markedProducer {
	t.Helper()
	kafka := testkit.Kafka(t, 1, "t")
	plan := enginePlan("ws://127.0.0.1:1/", kafka.ListenAddrs())
	plan.Producers[0].Keys = scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: keys}
	topo, err := newTopology(plan, 77, func(s string) string { return s }, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	markers := &markersByKey{sent: map[string]int{}}
	p, err := newProducer(topo, 0, plan.Kafka.Seeds, oneRecorder(), []kgo.Opt{kgo.WithHooks(markers)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	for k := range keys {
		p.join.add(streamKey{byKey: true, id: k}, followersEach)
		p.final.add(streamKey{byKey: true, id: k}, followersEach)
	}
	p.marking.restart()
	p.marking.spare = math.Inf(1) // there is no load
	return &markedProducer{producer: p, markers: markers, now: time.Unix(1_000_000, 0)}
}

// turn has so many deliveries of the last marker come in, and returns how many markers go at the next turn.
func (p *markedProducer) turn(delivered int) (sent int) {
	for range delivered {
		p.marking.echo.take(p.markers.last)
	}
	p.now = p.now.Add(markerTurn)
	before := p.count()
	p.mark(KindJoin, p.join, markerEvery, p.now)
	return p.count() - before
}

func (p *markedProducer) count() (n int) {
	for _, sent := range p.markers.sent {
		n += sent
	}
	return n
}

// TestMarkersGoAsTheirDeliveriesArrive: 10,000 keys with 100 followers each had 1,000,000 deliveries of markers every 250 ms
// while anybody waited, which the pipeline delivered into the measured window.
func TestMarkersGoAsTheirDeliveriesArrive(t *testing.T) {
	const keys, window = 1000, markersAfoot / followersEach
	p := newMarkedProducer(t, keys)
	for _, step := range []struct {
		name      string
		delivered int
		want      int
	}{
		{"as many as may be under way", 0, window},
		{"no more before one has arrived", 0, 0},
		{"as many as have arrived", 50 * followersEach, 50},
		{"a marker is sent whole", followersEach / 2, 1},
		{"the next waits for the rest of it", followersEach / 2, 0},
		{"all have arrived", window * followersEach, window},
	} {
		if got := p.turn(step.delivered); got != step.want {
			t.Fatalf("%s: got %d markers; want %d", step.name, got, step.want)
		}
	}
	for p.count() < keys {
		if p.turn(window*followersEach) == 0 {
			t.Fatalf("the round ends behind %d markers of %d", p.count(), keys)
		}
	}
	for name, n := range p.markers.sent {
		if n != 1 {
			t.Errorf("key %s has %d markers in one round", name, n)
		}
	}
}

// TestMarkersGoOnlyToKeysThatWait: a key whose followers have all joined gets no more.
func TestMarkersGoOnlyToKeysThatWait(t *testing.T) {
	p := newMarkedProducer(t, 10)
	if got := p.turn(0); got != 10 {
		t.Fatalf("got %d markers; want one for each of 10 keys", got)
	}
	for k := 1; k < 10; k++ {
		p.join.add(streamKey{byKey: true, id: k}, -followersEach)
	}
	p.join.add(streamKey{byKey: true, id: 0}, 1-followersEach) // one is left that waits
	for range 100 {
		p.turn(followersEach)
	}
	for k := range 10 {
		name := string(p.shape.choose.keyName(uint32(k)))
		if got := p.markers.sent[name]; k > 0 && got != 1 || k == 0 && got < 2 {
			t.Errorf("key %s: %d markers; want 1, and more for the first alone", name, got)
		}
	}
	p.join.add(streamKey{byKey: true, id: 0}, -1)
	before := p.count()
	for range 100 {
		p.turn(0)
	}
	if got := p.count() - before; got != 0 {
		t.Errorf("%d markers went although nobody waits", got)
	}
}

// TestMarkersOfNoDeliveryAreGivenUp: a target that is not ready, or drops all, has as many again after a patience that grows
// while nothing comes, and is short again once anything does.
func TestMarkersOfNoDeliveryAreGivenUp(t *testing.T) {
	const keys, window = 10_000, markersAfoot / followersEach
	p := newMarkedProducer(t, keys)
	p.joinDeadline = 10 * time.Second
	until := func() (turns int) {
		for turns = 1; p.turn(0) == 0; turns++ {
			if turns > 1000 {
				t.Fatal("they are never given up")
			}
		}
		return turns
	}
	if got := p.turn(0); got != window {
		t.Fatalf("got %d markers; want %d", got, window)
	}
	patience := markerEvery
	for i := range 6 {
		if got, want := until(), int((patience+markerTurn-1)/markerTurn); got != want {
			t.Fatalf("in the stretch %d: given up after %d turns; want %d", i, got, want)
		}
		patience = min(2*patience, p.joinDeadline/markerRounds)
	}
	p.markers.last = 0 // it was sent long ago
	p.turn(1)
	if got, want := until(), int((markerEvery+markerTurn-1)/markerTurn)-1; got != want {
		t.Errorf("one has come: given up %d turns later; want %d, since they were sent a turn before", got, want)
	}
}

// TestMarkersOfFollowersThatAreGone: where two of five followers are there no more, that is known after one silence, and the
// rounds go on without any; where they are back after all, they count again.
func TestMarkersOfFollowersThatAreGone(t *testing.T) {
	const keys = 10_000
	p := newMarkedProducer(t, keys)
	sent := p.turn(0)
	for turns := 0; p.marking.share == 1; turns++ {
		if turns > 1000 {
			t.Fatal("it is never known")
		}
		sent = p.turn(sent * followersEach * 3 / 5)
	}
	if got := p.marking.share; got < 0.59 || got > 0.61 {
		t.Errorf("three of five deliveries have come: got a share of %v", got)
	}
	for range 10 {
		if sent = p.turn(sent * followersEach * 3 / 5); sent == 0 {
			t.Fatal("what is counted on has come, and no more go")
		}
	}
	for range 10 {
		sent = p.turn(sent * followersEach)
	}
	if got := p.marking.share; got < 0.99 {
		t.Errorf("all deliveries come: got a share of %v", got)
	}
}

// TestMarkersThatWereLeftOut: where half of the deliveries never come while others do, those are no bound for ever.
func TestMarkersThatWereLeftOut(t *testing.T) {
	const keys, window = 1000, markersAfoot / followersEach
	p := newMarkedProducer(t, keys)
	p.turn(0)
	if got := p.turn(markersAfoot / 2); got != window/2 {
		t.Fatalf("half of the deliveries have come: got %d markers; want %d", got, window/2)
	}
	p.markers.last = p.marking.echo.since.Load() + int64(markerEvery)
	if got := p.turn(1); got != window {
		t.Errorf("one that was sent so much later has come: got %d markers; want %d", got, window)
	}
	p.markers.last = 0 // one from before
	if got := p.turn(markersAfoot); got != 0 {
		t.Errorf("what was given up arrives late: got %d markers; want none", got)
	}
}

// TestMarkersBesideTheLoad cause no more than so many deliveries a second, however fast the pipeline is, unless the join
// deadline wants more.
func TestMarkersBesideTheLoad(t *testing.T) {
	const seconds, turns = 10, int(time.Second / markerTurn)
	for _, c := range []struct {
		name     string
		deadline time.Duration
		rate     float64 // deliveries a second
	}{
		{"rounds of more than a second", time.Hour, markersLoadedMost},
		{"four rounds of 200,000 deliveries within 4 s", 4 * time.Second, 200_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newMarkedProducer(t, 2000)
			p.joinDeadline = c.deadline
			p.marking.reach = 2000 * followersEach // the round before
			before := p.count()
			for range seconds * turns {
				p.now = p.now.Add(markerTurn)
				p.markLoaded(p.now)
				for p.marking.afoot() > 0 {
					p.marking.echo.take(p.markers.last)
				}
			}
			got := float64(p.count()-before) * followersEach / seconds
			if got < 0.9*c.rate || got > 1.1*c.rate {
				t.Errorf("%.0f deliveries a second; want about %.0f", got, c.rate)
			}
		})
	}
}

// TestReachOfMarkers: a marker goes to those who follow its key and to those who follow its partition, and a final one to all
// of them although the stream is closed for some.
func TestReachOfMarkers(t *testing.T) {
	p := newMarkedProducer(t, 10)
	p.final.add(streamKey{id: 0}, 7)
	if got := p.reach(3, 0); got != followersEach+7 {
		t.Errorf("of a key: got %d; want %d", got, followersEach+7)
	}
	p.followers = p.final.clone()
	p.final.add(streamKey{byKey: true, id: 3}, 1-followersEach)
	if got := p.reach(3, 0); got != followersEach+7 {
		t.Errorf("of a stream that is closed for some: got %d; want %d", got, followersEach+7)
	}
}

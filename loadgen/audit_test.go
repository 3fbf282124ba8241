package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

func TestMain(m *testing.M) {
	// What runs side by side waits for deadlines, and more of it does than there are processors.
	_ = flag.Set("test.parallel", "4") // fails for no number; -parallel comes after it
	goleak.VerifyTestMain(m)
}

// onePhase is the schedule of one producer alone.
func onePhase(arrivals scenarios.Arrivals, rate float64, length time.Duration) *Schedule {
	return NewSchedule(&scenarios.Plan{
		Seed:      3,
		Producers: []scenarios.Producer{{Name: "p", Rate: scenarios.Hold(rate), Arrivals: arrivals}},
		Phases:    scenarios.Phases{Measure: []scenarios.MeasurePhase{{Name: "m", Duration: length}}},
	}, 0)
}

func TestConstantCountIsExact(t *testing.T) {
	for _, c := range []struct {
		rate   float64
		length time.Duration
		want   uint64
	}{
		{0, time.Second, 0},
		{100, 0, 0},
		{100, time.Second, 100},
		{3, time.Second, 3},
		{0.5, 3 * time.Second, 2},
		{1.0 / 3, 3 * time.Second, 1},
		{1.0 / 3, 3*time.Second + time.Millisecond, 2},
		{7, 1500 * time.Millisecond, 11},
		{0.1, 700 * time.Second, 70},
		{333.3, 10 * time.Second, 3333},
		{0.07, 100 * time.Second, 7}, // the product is 7.000000000000001
		{1_000_000, 3000 * time.Second, 3_000_000_000},
		{123_457, time.Hour, 444_445_200},
	} {
		t.Run(fmt.Sprintf("%v for %v", c.rate, c.length), func(t *testing.T) {
			s := onePhase(scenarios.ArrivalsConstant, c.rate, c.length)
			if got := s.Total(); got != c.want {
				t.Fatalf("got %d messages; want %d", got, c.want)
			}
			for _, k := range []uint64{0, c.want / 3, c.want - 1} {
				if k >= c.want {
					continue
				}
				want := time.Duration(math.Round(float64(k) / c.rate * 1e9))
				if got := s.Due(k); (got-want).Abs() > 2*time.Microsecond || got < 0 || got >= c.length {
					t.Errorf("message %d is due at %v; want %v, inside the phase", k, got, want)
				}
			}
		})
	}
}

// TestScheduleIsArithmetic: a walk, a walk from anywhere and the single computation agree, and every message lies in
// its phase, in order.
func TestScheduleIsArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlan(t)
		phases := LoadPhases(p)
		for i := range p.Producers {
			s, again := NewSchedule(p, i), NewSchedule(p, i)
			var dues []time.Duration
			for c := s.Cursor(); !c.Done(); c.Next() {
				k := c.Index()
				if k != uint64(len(dues)) {
					t.Fatalf("the cursor stands at %d; want %d", k, len(dues))
				}
				due := c.Due()
				if got := s.Due(k); got != due {
					t.Fatalf("message %d: computed %v, walked %v", k, got, due)
				}
				if got := again.Due(k); got != due {
					t.Fatalf("message %d: %v, and %v of the same plan again", k, due, got)
				}
				if phase := phases[c.Phase()]; due < phase.Start || due >= phase.End {
					t.Fatalf("message %d is due at %v, outside its phase %+v", k, due, phase)
				}
				if k > 0 && due < dues[k-1] {
					t.Fatalf("message %d is due at %v, before the one before it (%v)", k, due, dues[k-1])
				}
				dues = append(dues, due)
			}
			if got := s.Total(); got != uint64(len(dues)) {
				t.Fatalf("walked %d; want %d", len(dues), got)
			}
			if len(dues) == 0 {
				continue
			}
			c := &Cursor{schedule: s}
			c.seek(rapid.Uint64Range(0, s.Total()-1).Draw(t, "split"))
			for ; !c.Done(); c.Next() {
				if got, want := c.Due(), dues[c.Index()]; got != want {
					t.Fatalf("message %d: %v after a split; want %v", c.Index(), got, want)
				}
			}
		}
	})
}

func TestPoissonArrivals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate   float64
		length time.Duration
	}{{0.5, 2000 * time.Second}, {1000, 10 * time.Second}, {200_000, time.Second}} {
		t.Run(fmt.Sprint(c.rate), func(t *testing.T) {
			s := onePhase(scenarios.ArrivalsPoisson, c.rate, c.length)
			mean := c.rate * c.length.Seconds()
			if got := float64(s.Total()); math.Abs(got-mean) > 4*math.Sqrt(mean) {
				t.Errorf("got %v arrivals; want %v ± %v", got, mean, 4*math.Sqrt(mean))
			}
			// In 200 equal windows the variance of the counts is their mean; the ratio's own deviation is √(2/199).
			const windows = 200
			var counts [windows]float64
			for cur := s.Cursor(); !cur.Done(); cur.Next() {
				counts[int64(cur.Due())*windows/int64(c.length)]++
			}
			sum, squares := 0.0, 0.0
			for _, n := range counts {
				sum += n
				squares += n * n
			}
			variance := (squares - sum*sum/windows) / (windows - 1)
			if got := variance / (sum / windows); math.Abs(got-1) > 4*math.Sqrt(2.0/(windows-1)) {
				t.Errorf("variance ÷ mean of the counts: got %.3f; want about 1", got)
			}
		})
	}
}

// TestMurmur2 has the vectors of Kafka's own test (org.apache.kafka.common.utils.UtilsTest.testMurmur2).
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: got %d; want %d", key, got, want)
		}
	}
}

// TestPartitionsAreKafkas compares with franz-go's implementation of the Java client's partitioner.
func TestPartitionsAreKafkas(t *testing.T) {
	kafkas := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for k := range 500 {
		key := []byte(scenarios.KeyName(k))
		for _, n := range []int{1, 3, 6, 100} {
			if got, want := int(partitionOf(key, n)), kafkas.Partition(&kgo.Record{Key: key}, n); got != want {
				t.Fatalf("%s of %d: got %d; want %d", key, n, got, want)
			}
		}
	}
}

func chooserOf(keys scenarios.Keys, size scenarios.Size) *chooser {
	return newChooser(&scenarios.Plan{Seed: 11, Producers: []scenarios.Producer{{Keys: keys, Size: size}}}, 0, 4)
}

func TestKeysHaveTheirShares(t *testing.T) {
	const n, keys = 40_000, 8
	zipf := func(s float64) (shares []float64) {
		sum := 0.0
		for k := range keys {
			shares = append(shares, math.Pow(float64(k+1), -s))
			sum += shares[k]
		}
		for k := range shares {
			shares[k] /= sum
		}
		return shares
	}
	for _, c := range []struct {
		keys scenarios.Keys
		want []float64
	}{
		{scenarios.Keys{Kind: scenarios.KeysRoundRobin, Count: keys}, zipf(0)},
		{scenarios.Keys{Kind: scenarios.KeysUniform, Count: keys}, zipf(0)},
		{scenarios.Keys{Kind: scenarios.KeysZipf, Count: keys, Skew: 0.5}, zipf(0.5)},
		{scenarios.Keys{Kind: scenarios.KeysZipf, Count: keys, Skew: 1.1}, zipf(1.1)},
		{scenarios.Keys{Kind: scenarios.KeysZipf, Count: keys, Skew: 3}, zipf(3)},
	} {
		t.Run(fmt.Sprintf("%s %v", c.keys.Kind, c.keys.Skew), func(t *testing.T) {
			choose := chooserOf(c.keys, scenarios.Size{})
			var counts [keys]float64
			for i := range uint64(n) {
				key, partition := choose.choose(i, 0)
				if want := partitionOf([]byte(scenarios.KeyName(int(key))), 4); partition != want {
					t.Fatalf("message %d of key %d goes to partition %d; want %d", i, key, partition, want)
				}
				counts[key]++
			}
			for k, share := range c.want {
				want, sigma := share*n, math.Sqrt(n*share*(1-share))
				if math.Abs(counts[k]-want) > 4*sigma {
					t.Errorf("key %d: got %v of %d; want %.0f ± %.0f", k, counts[k], n, want, 4*sigma)
				}
			}
		})
	}
	none := chooserOf(scenarios.Keys{Kind: scenarios.KeysNone}, scenarios.Size{})
	for i := range uint64(10) {
		if key, partition := none.choose(i, 0); key != NoKey || partition != uint32(i%4) {
			t.Errorf("message %d without keys: got key %d, partition %d", i, key, partition)
		}
	}
}

func TestSizesStayInTheirBounds(t *testing.T) {
	choose := chooserOf(scenarios.Keys{Kind: scenarios.KeysNone}, scenarios.Size{Kind: scenarios.SizeUniform, Min: 100, Max: 103})
	seen := map[int]bool{}
	for i := range uint64(1000) {
		seen[choose.sizeOf(i)] = true
	}
	for size := range seen {
		if size < 100 || size > 103 {
			t.Errorf("got a value of %d bytes", size)
		}
	}
	if len(seen) != 4 {
		t.Errorf("got %d sizes; want all 4", len(seen))
	}
}

// TestPhaseRanges: phases without a message have empty ranges, wherever they are.
func TestPhaseRanges(t *testing.T) {
	l := newLedger(2, 2)
	send := func(phase int, key, partition uint32) {
		l.enter(phase)
		l.take(key, partition)
	}
	send(1, 0, 0)
	send(1, 1, 1)
	send(1, 0, 0)
	send(3, NoKey, 0)
	for _, c := range []struct {
		byKey bool
		id    int
		want  [5]span
	}{
		{false, 0, [5]span{{0, 0}, {0, 2}, {2, 2}, {2, 3}, {3, 3}}},
		{false, 1, [5]span{{0, 0}, {0, 1}, {1, 1}, {1, 1}, {1, 1}}},
		{true, 0, [5]span{{0, 0}, {0, 2}, {2, 2}, {2, 2}, {2, 2}}},
		{true, 1, [5]span{{0, 0}, {0, 1}, {1, 1}, {1, 1}, {1, 1}}},
	} {
		for phase, want := range c.want {
			if got := l.phaseRange(phase, c.byKey, c.id); got != want {
				t.Errorf("phase %d of stream %d, by key %v: got %v; want %v", phase, c.id, c.byKey, got, want)
			}
		}
	}
}

func TestClockSteps(t *testing.T) {
	const ms = int64(time.Millisecond)
	for _, c := range []struct {
		name  string
		wall  int64 // elapsed by each clock
		mono  time.Duration
		steps int
	}{
		{"even", 100 * ms, 100 * time.Millisecond, 0},
		{"reading noise", 100*ms + ms/2, 100 * time.Millisecond, 0},
		{"slewed", 10_004 * ms, 10 * time.Second, 0},
		{"slewed back", 9_996 * ms, 10 * time.Second, 0},
		{"forward", 105 * ms, 100 * time.Millisecond, 1},
		{"backward", -900 * ms, 100 * time.Millisecond, 1},
		{"an hour", 3_600_100 * ms, 100 * time.Millisecond, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m clockMonitor
			text := m.observe(clockReading{wall: 5e18, mono: 7}, clockReading{wall: 5e18 + c.wall, mono: 7 + c.mono})
			steps, _, drift := m.state()
			if steps != c.steps || (text != "") != (c.steps > 0) {
				t.Errorf("got %d steps, %q; want %d", steps, text, c.steps)
			}
			if want := time.Duration(c.wall) - c.mono; drift != want {
				t.Errorf("got a drift of %v; want %v", drift, want)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		err  error
		acks bool
		want outcome
	}{
		{nil, true, sendAcked},
		{nil, false, sendUnsettled},
		{kgo.ErrMaxBuffered, true, sendRefused},
		{kgo.ErrMaxBuffered, false, sendRefused},
		{fmt.Errorf("partition 3: %w", kerr.MessageTooLarge), true, sendRefused},
		{kerr.NotEnoughReplicasAfterAppend, true, sendUnsettled},
		{kerr.RequestTimedOut, true, sendUnsettled},
		{kgo.ErrRecordTimeout, true, sendUnsettled},
		{kgo.ErrClientClosed, true, sendUnsettled},
		{context.Canceled, true, sendUnsettled},
		{errors.New("connection reset"), true, sendUnsettled},
	} {
		if got := outcomeOf(c.err, c.acks); got != c.want {
			t.Errorf("%v with acks %v: got %d; want %d", c.err, c.acks, got, c.want)
		}
	}
}

// TestSightingsAreNeverOfAnotherMessage: readers race with a writer that overwrites the slots again and again.
func TestSightingsAreNeverOfAnotherMessage(t *testing.T) {
	const slots, last = 8, 50_000
	s := newSightings(slots)
	at := func(seq uint64) int64 { return int64(seq*7 + 1) }
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for !stopped(done) {
				for seq := range uint64(last) {
					if got, ok := s.get(seq); ok && got != at(seq) {
						t.Errorf("message %d: got %d; want %d", seq, got, at(seq))
						return
					}
				}
			}
		})
	}
	for seq := range uint64(last) {
		s.put(seq, at(seq))
	}
	close(done)
	wg.Wait()
	for seq := range uint64(last) {
		if _, ok := s.get(seq); ok != (seq >= last-slots) {
			t.Fatalf("message %d: got %v after the last %d overwrote all others", seq, ok, slots)
		}
	}
}

// scripted serves one connection: it reads the request, and writes the answer and what follows it in pieces.
func scripted(conn net.Conn, follows []byte, cut func(left int) int) {
	defer conn.Close()
	req, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	stream := append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
		acceptKey(req.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n"), follows...)
	for len(stream) > 0 {
		n := cut(len(stream))
		if _, err := conn.Write(stream[:n]); err != nil {
			return
		}
		stream = stream[n:]
	}
	_, _ = io.Copy(io.Discard, conn)
}

// TestDialKeepsWhatFollowsTheAnswer: frames may come right behind the handshake's answer, and the reads may be cut
// anywhere. No byte of them may stay in the handshake's buffer.
func TestDialKeepsWhatFollowsTheAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		follows := bytes.Repeat([]byte("frames\r\n\r\n"), rapid.IntRange(0, 400).Draw(t, "length"))
		var cuts []int
		if rapid.Bool().Draw(t, "tiny") {
			cuts = slices.Repeat([]int{1}, 150)
		}
		cuts = append(cuts, rapid.SliceOfN(rapid.IntRange(1, 300), 0, 20).Draw(t, "cuts")...)
		client, server := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			scripted(server, follows, func(left int) int {
				if len(cuts) == 0 {
					return left
				}
				n := min(cuts[0], left)
				cuts = cuts[1:]
				return n
			})
		})
		defer wg.Wait()
		wire := scenarios.BareProfile()
		d := newDialer(Options{NetDial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}, &profile{wire: &wire})
		conn, early, err := d.dial(context.Background(), call{url: "ws://test/ws"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		rest := make([]byte, max(0, len(follows)-len(early)))
		if _, err := io.ReadFull(conn, rest); err != nil {
			t.Fatal(err)
		}
		if got := append(slices.Clone(early), rest...); !bytes.Equal(got, follows) {
			t.Fatalf("got %d bytes behind the answer, %d of them early; want %d", len(got), len(early), len(follows))
		}
	})
}

// TestReceiveSeesTheEndBehindData: a target that dies sends its last bytes and the connection's end at once. The kernel
// may tell of both by one event, so that a reader which takes a short read for an empty socket waits for an event that
// has been, and the client of a dead target would be counted as connected for the rest of the run.
func TestReceiveSeesTheEndBehindData(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // nothing polls between the write and the close
	for range 20 {
		target, conn := testkit.TCPPair(t)
		var lock sync.Mutex
		var space receiveSpace
		got := 0
		waiting := make(chan error, 1)
		go func() {
			waiting <- receive(conn, &lock, &space, func(p []byte, _, _ int64, _ io.Writer) error {
				got += len(p)
				return nil
			})
		}()
		for range 10 {
			runtime.Gosched() // the reader waits by now; if not, the test proves nothing and still passes
		}
		if _, err := target.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := target.Close(); err != nil {
			t.Fatal(err)
		}
		deadline := time.NewTimer(testkit.Patience)
		select {
		case err := <-waiting:
			if !errors.Is(err, io.EOF) || got != len("last words") {
				t.Fatalf("got %d bytes and %v; want %d and %v", got, err, len("last words"), io.EOF)
			}
		case <-deadline.C:
			_ = conn.Close()
			<-waiting
			t.Fatalf("got %d bytes, and the end of the connection was not seen", got)
		}
		deadline.Stop()
	}
}

// TestTakeMessageAllocatesNothing guards the hot path.
func TestTakeMessageAllocatesNothing(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Producers[0].Rate = scenarios.Hold(1e5) // so that few messages are samples of the spread
	same := func(s string) string { return s }
	topo, err := newTopology(plan, 1, same, map[string]int{"t": 1})
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{shape: &topo.producers[0], join: newPending(1, 0), final: newPending(1, 0), ledger: newLedger(1, 0)}
	seen := newSightings(1 << 12)
	s, err := newSwarm(topo, Options{Plan: plan, URL: "ws://127.0.0.1:1/", TopicName: same, Workers: 1}, []*producer{p}, [][]*sightings{{seen}}, newRecorderPool())
	if err != nil {
		t.Fatal(err)
	}
	s.loadUnix.Store(0)
	c := s.clients[0]
	s.begin(c)
	c.worker.takeMessage(c, stamped(Stamp{Kind: KindJoin, Run: 1, Key: NoKey}, 90, 0), 1, true)
	var frames [][]byte
	for seq := range uint64(1100) {
		seen.put(seq, 1)
		frames = append(frames, append([]byte(`{"type":"message","received_at_ns":12,"queued_at_ns":13}`+"\n"),
			stamped(Stamp{Kind: KindData, Run: 1, Key: NoKey, PartSeq: seq}, 256, 0)...))
	}
	next := 0
	got := testing.AllocsPerRun(1000, func() {
		c.worker.takeMessage(c, frames[next], 5, true)
		next++
	})
	if got != 0 {
		t.Errorf("got %v allocations a message; want 0", got)
	}
	if n := c.trackers[0].next; n != uint64(next) {
		t.Errorf("got %d messages; want %d", n, next)
	}
}

const (
	// patience is for what ends as soon as all has come, also on a machine that is far too busy.
	patience = time.Minute
	// missingDrain is the drain of a plan in which something is missing on purpose: then it lasts to the deadline.
	missingDrain = 2 * time.Second
)

// enginePlan is a plan of two clients and one producer without keys. A test in which something goes missing shortens the
// drain.
func enginePlan(url string, seeds []string) *scenarios.Plan {
	return &scenarios.Plan{
		Name: "engine", Seed: 1, IntervalNS: 200 * time.Millisecond, Objective: time.Second,
		Kafka:   scenarios.KafkaPlan{Seeds: seeds, FinalRead: true, Topics: []scenarios.Topic{{Name: "t", Partitions: 1}}},
		Gateway: scenarios.GatewayPlan{URL: url, Profile: scenarios.ReferenceProfile()},
		Producers: []scenarios.Producer{{
			Name: "p", Topic: "t", Rate: scenarios.Hold(100), Arrivals: scenarios.ArrivalsConstant, Size: scenarios.Size{Kind: scenarios.SizeFixed, Min: 100, Max: 100},
			Keys: scenarios.Keys{Kind: scenarios.KeysNone}, Acks: "all", Stall: time.Second,
		}},
		Clients: []scenarios.ClientGroup{{Name: "g", Count: 2, ConnectRate: 1000, Subscribe: scenarios.Subscribe{Topic: "t", All: true}, Reconnect: true}},
		Phases: scenarios.Phases{
			ConnectDeadline: patience, JoinDeadline: patience, DrainDeadline: patience,
			Measure: []scenarios.MeasurePhase{{Name: "m", Duration: 300 * time.Millisecond}},
		},
		Audit: scenarios.AuditLimits{Gaps: 1000},
	}
}

func newTestEngine(t *testing.T, plan *scenarios.Plan) *Engine {
	t.Helper()
	e, err := Start(t.Context(), Options{
		Plan: plan, Run: 77, Seeds: plan.Kafka.Seeds, URL: plan.Gateway.URL, Partitions: map[string]int{"t": 1},
		TopicName: func(s string) string { return s }, Sink: func(*results.Interval, []results.Event) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// TestConnectErrorNamesTheCause: what listens at the target's address is something else.
func TestConnectErrorNamesTheCause(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	for _, c := range []struct{ name, url, want string }{
		{"no WebSocket", testkit.Stranger(t, 404), "HTTP 404"},
		{"garbage", testkit.StrangerTCP(t, "220 mail.example ESMTP\r\n"), "malformed HTTP"},
		{"no answer", testkit.StrangerTCP(t, ""), "no answer"},
		{"nothing", "ws://127.0.0.1:1/ws", "connection refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plan := enginePlan(c.url, kafka.ListenAddrs())
			plan.Phases.ConnectDeadline = 3 * time.Second // one attempt at least must come to its answer
			err := newTestEngine(t, plan).Connect(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "0 of 2 were connected") {
				t.Errorf("got %v; want it to say %q", err, c.want)
			}
		})
	}
}

// TestEngineClosesAfterAnyVerb: whatever was called last, Close leaves nothing running. TestMain checks for leaks.
func TestEngineClosesAfterAnyVerb(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "t")
	gateway := testkit.StartGateway(t, testkit.Options{Seeds: kafka.ListenAddrs(), Topics: []string{"t"}, Partitions: 1})
	for verbs := range 7 {
		t.Run(fmt.Sprint(verbs), func(t *testing.T) {
			e := newTestEngine(t, enginePlan(gateway.URL(), kafka.ListenAddrs()))
			var audit *results.Audit
			for i, verb := range []func() error{
				func() error { return e.Connect(t.Context()) },
				func() error { return e.Join(t.Context()) },
				func() error { return e.Load(t.Context()) },
				func() error { e.Drain(t.Context()); return nil },
				func() (err error) { audit, _, err = e.Finish(t.Context()); return err },
				func() error { e.Close(); return nil },
			} {
				if i >= verbs {
					break
				}
				if err := verb(); err != nil {
					t.Fatalf("verb %d: %v", i, err)
				}
			}
			if verbs < 5 {
				return
			}
			want := results.AuditRow{Phase: "m", Group: "g", Producer: "p", Classes: results.Classes{Expected: 60, Delivered: 60}}
			if len(audit.Rows) != 1 || audit.Rows[0] != want {
				t.Errorf("got the rows %+v; want %+v alone", audit.Rows, want)
			}
		})
	}
}

// TestJoinErrorSumsRemarks: the same reason told to clients of different workers is one reason.
func TestJoinErrorSumsRemarks(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	e := newTestEngine(t, enginePlan("ws://127.0.0.1:1/", kafka.ListenAddrs()))
	for i := range 5 {
		w := e.swarm.workers[i%len(e.swarm.workers)]
		w.mu.Lock()
		w.remarks.add("too many channels")
		w.mu.Unlock()
	}
	if got, want := e.swarm.joinError().Error(), "5 times: too many channels"; !strings.Contains(got, want) {
		t.Errorf("got %q; want it to say %q", got, want)
	}
}

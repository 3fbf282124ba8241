package loadgen

import (
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
)

// TestSilentError: the causes that fit, and no others.
func TestSilentError(t *testing.T) {
	for _, c := range []struct {
		name      string
		err       SilentError
		want, not []string
	}{
		{
			"a codec", SilentError{Codecs: []string{"gzip by a", "zstd by feed"}},
			[]string{"(a) batches are compressed (zstd by feed)", "kafkajs knows gzip alone", "compression: gzip or none", "(b) it consumes other topics than prices-x1", "old offsets"},
			[]string{"gzip by a", "(c)", "profile"},
		},
		{
			"gzip alone", SilentError{Codecs: []string{"gzip by feed"}, Subscribes: true, Heard: []string{`{"type":"hello"}`}, Remarks: "; 3 times: refused"},
			[]string{"(a) it consumes other topics", `(b) the profile's subscribe is not what it wants, or its channel and key_channel are not what the target calls them; the first that came: {"type":"hello"}; 3 times: refused`},
			[]string{"compressed"},
		},
		{
			"foreign", SilentError{Foreign: 7, Subscribes: true, Heard: []string{"what?", "huh?"}},
			[]string{"(a) 7 messages came without a stamp", "the first that came: what? | huh?", "(b) it consumes"},
			[]string{"the profile's subscribe"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.err.After, c.err.Clients, c.err.Markers, c.err.Topics = 7510*time.Millisecond, 24, 300, []string{"prices-x1"}
			got := c.err.Error()
			for _, want := range append(c.want, "join: the target is silent: for 7.5s 300 join markers have been in Kafka and none has reached any of 24 connected clients") {
				if !strings.Contains(got, want) {
					t.Errorf("got %q; want %q in it", got, want)
				}
			}
			for _, not := range c.not {
				if strings.Contains(got, not) {
					t.Errorf("got %q; want no %q in it", got, not)
				}
			}
		})
	}
}

// TestJoinErrorNamesTheCodec: a batch that its codec makes no smaller goes without it, so that a target that lacks the
// codec may have given a first marker to some, and is not silent.
func TestJoinErrorNamesTheCodec(t *testing.T) {
	const want = "Besides, batches are compressed (snappy by feed), and its Kafka client may lack the codec, as kafkajs knows gzip alone (set compression: gzip or none)"
	e := JoinError{Missing: 20, Clients: 20, Silent: 15, First: []string{"viewers/0"}, Codecs: []string{"gzip by other", "snappy by feed"}}
	if got := e.Error(); !strings.Contains(got, want) {
		t.Errorf("got %q; want %q in it", got, want)
	}
	e.Codecs = []string{"gzip by other"}
	if got := e.Error(); strings.Contains(got, "compressed") {
		t.Errorf("got %q; want nothing of a codec that every client has", got)
	}
}

// TestSilenceLook: the time counts from the first marker that is in Kafka, and one that comes to anybody ends it.
func TestSilenceLook(t *testing.T) {
	kafka := testkit.Kafka(t, 1, "t")
	e := newTestEngine(t, enginePlan("ws://127.0.0.1:1/", kafka.ListenAddrs()))
	markers := int64(300) // from when the clients connected: many came later
	e.swarm.markersRead = func() int64 { return markers }
	start := time.Unix(1000, 0)
	s := silence{swarm: e.swarm, after: 5 * time.Second}
	look := func(at time.Duration, want bool) {
		t.Helper()
		if err := s.look(start.Add(at)); (err != nil) != want {
			t.Errorf("after %v: got %v; want silence told %v", at, err, want)
		}
	}
	look(0, false)
	look(time.Minute, false) // Kafka has no later one yet
	markers++
	look(2*time.Minute, false)
	look(2*time.Minute+4*time.Second, false)
	look(2*time.Minute+5*time.Second, true)
	w := e.swarm.workers[len(e.swarm.workers)-1]
	w.marked = true
	look(3*time.Minute, false)
}

func TestSilenceOf(t *testing.T) {
	for deadline, want := range map[time.Duration]time.Duration{3 * time.Second: 5 * time.Second, 15 * time.Second: 7500 * time.Millisecond, time.Minute: 30 * time.Second} {
		if got := silenceOf(deadline); got != want {
			t.Errorf("join deadline %v: got %v; want %v", deadline, got, want)
		}
	}
}

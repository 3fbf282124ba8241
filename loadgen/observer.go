package loadgen

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirbench/weir/results"
)

// observer is a plain Kafka consumer beside the clients: the control arm that tells Kafka's share of the latency from
// the gateway's. What it found is also the reference of the audit, as far as the final read can't replace it.
type observer struct {
	topo   *topology
	client *kgo.Client
	starts kadm.ListedOffsets // where the run's records begin
	seen   [][]*sightings     // by producer and partition

	mu    sync.Mutex
	meter *meter // cells: load phase × producer; stages: kafka
	view  *topicView
	// slowest is by sender how long after its sending a message was read at most.
	slowest []int64
	at      map[string]map[int32]int64 // next offset, by topic and partition
	markers atomic.Int64               // join markers of the run that were read
	errs    map[string]int64
}

// newObserver fixes where the topics begin for this run: nothing of the run has been sent yet.
func newObserver(ctx context.Context, topo *topology, seeds []string, pool *recorderPool, gapLimit int, extra []kgo.Opt) (*observer, error) {
	client, err := kgo.NewClient(append(observerOptions(topo, seeds), extra...)...)
	if err != nil {
		return nil, fmt.Errorf("make the observer's Kafka client: %w", err)
	}
	topics := topo.topics()
	starts, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("find the ends of the topics %v: %w", topics, err)
	}
	o := &observer{topo: topo, client: client, starts: starts, view: newTopicView(topo, gapLimit), slowest: make([]int64, len(topo.producers)), at: map[string]map[int32]int64{}, errs: map[string]int64{}}
	o.meter = newMeter(meterLayout{topo.producerCells(), []results.Stage{results.StageKafka}, []string{results.CountObserved}}, pool)
	for i := range topo.producers {
		p := &topo.producers[i]
		parts := make([]*sightings, p.partitions)
		for k := range parts {
			parts[k] = newSightings(topo.sightingSlots(i, k))
		}
		o.seen = append(o.seen, parts)
	}
	assign := map[string]map[int32]kgo.Offset{}
	starts.Each(func(l kadm.ListedOffset) {
		if assign[l.Topic] == nil {
			assign[l.Topic], o.at[l.Topic] = map[int32]kgo.Offset{}, map[int32]int64{}
		}
		assign[l.Topic][l.Partition] = kgo.NewOffset().At(l.Offset)
		o.at[l.Topic][l.Partition] = l.Offset
	})
	client.AddConsumePartitions(assign)
	return o, nil
}

// sightingSlots is the room for the sightings of one partition of a producer, or of one publishing client.
func (t *topology) sightingSlots(producer, part int) int {
	p := &t.producers[producer]
	if p.publishes() {
		return sightingSlots(t.rate(producer)/float64(p.partitions), leastClientSightings, max(leastSightings, min(mostSightings, groupSightings/p.partitions)))
	}
	return sightingSlots(t.rate(producer)*p.choose.share(uint32(part)), leastSightings, mostSightings)
}

func observerOptions(topo *topology, seeds []string) []kgo.Opt {
	isolation := kgo.ReadCommitted()
	if topo.plan.Kafka.ReadUncommitted {
		isolation = kgo.ReadUncommitted()
	}
	return []kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID("weir-observer"),
		kgo.FetchIsolationLevel(isolation),
		kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.DisableClientMetrics(),
		kgo.KeepControlRecords(), // they carry offsets: a topic may end in one
	}
}

// producerCells names the cells of meters that are split by load phase and producer, in that order.
func (t *topology) producerCells() []results.Label {
	var cells []results.Label
	for _, phase := range t.phases {
		for i := range t.producers {
			cells = append(cells, results.Label{Phase: phase.Name, Producer: t.producers[i].plan.Name})
		}
	}
	return cells
}

// topics lists the Kafka names of the topics that producers write, each once.
func (t *topology) topics() []string {
	names := map[string]bool{}
	for i := range t.producers {
		names[t.producers[i].topic] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// run consumes until ctx ends. loadUnix tells when the load began, to find a message's phase.
func (o *observer) run(ctx context.Context, loadUnix func() int64) {
	for ctx.Err() == nil {
		fetches := o.client.PollFetches(ctx)
		readAt := time.Now().UnixNano()
		o.mu.Lock()
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				o.errs[fmt.Sprintf("observer: read %s partition %d: %v", topic, partition, err)]++
			}
		})
		load := loadUnix()
		fetches.EachRecord(func(r *kgo.Record) { o.take(r, readAt, load) })
		o.mu.Unlock()
	}
}

func (o *observer) take(r *kgo.Record, readAt, loadUnix int64) {
	o.at[r.Topic][r.Partition] = r.Offset + 1
	var s Stamp
	if !o.view.see(r.Value, r.Partition, &s) {
		if s.Kind == KindJoin && s.Run == o.topo.run {
			o.markers.Add(1)
		}
		return
	}
	o.seen[s.Producer][s.Partition].put(s.PartSeq, readAt)
	o.slowest[s.Producer] = max(o.slowest[s.Producer], readAt-s.SentAt)
	phase := max(o.topo.phaseAt(s.DueAt-loadUnix), 0)
	cell := phase*len(o.topo.producers) + int(s.Producer)
	o.meter.record(cell, 0, readAt-s.SentAt)
	o.meter.count(cell, 0, 1)
}

// handOver gives what was measured since the last call, and the errors met with how often.
func (o *observer) handOver() (reading, map[string]int64) {
	slots, counts := o.meter.empty()
	o.mu.Lock()
	defer o.mu.Unlock()
	errs := o.errs
	o.errs = map[string]int64{}
	return o.meter.handOver(slots, counts), errs
}

// caughtUp reports whether the observer has read to the given ends.
func (o *observer) caughtUp(ends kadm.ListedOffsets) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	done := true
	ends.Each(func(l kadm.ListedOffset) {
		done = done && o.at[l.Topic][l.Partition] >= l.Offset
	})
	return done
}

// ends returns the topics' ends, as far as a reader of the plan's isolation level can come.
func (o *observer) ends(ctx context.Context) (kadm.ListedOffsets, error) {
	adm := kadm.NewClient(o.client)
	list := adm.ListCommittedOffsets
	if o.topo.plan.Kafka.ReadUncommitted {
		list = adm.ListEndOffsets
	}
	ends, err := list(ctx, o.topo.topics()...)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("find the ends of the topics: %w", err)
	}
	return ends, nil
}

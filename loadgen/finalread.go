package loadgen

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The sources of the reference.
const (
	sourceFinalRead = "final read"
	sourceObserver  = "observer"
	sourceNone      = "none"
)

// reference is the topics as finally read back. complete tells that it holds all that the topics held; why says
// otherwise.
type reference struct {
	view     *topicView
	source   string
	complete bool
	why      string
}

// catchUp waits until the observer has read to the topics' ends, or ctx ends.
func (o *observer) catchUp(ctx context.Context) (kadm.ListedOffsets, error) {
	ends, err := o.ends(ctx)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !o.caughtUp(ends) {
		select {
		case <-ctx.Done():
			return ends, fmt.Errorf("read the topics to their ends: %w", ctx.Err())
		case <-tick.C:
		}
	}
	return ends, nil
}

// readBack makes the reference. It reads the topics once more from where the run began; where retention has taken the
// beginning, or the plan wants no final read, what the observer saw stands.
func (o *observer) readBack(ctx context.Context, seeds []string, gapLimit int, extra []kgo.Opt) reference {
	ends, err := o.catchUp(ctx)
	if err != nil {
		return reference{view: o.view, source: sourceObserver, why: err.Error()}
	}
	seen := reference{view: o.view, source: sourceObserver, complete: true}
	if !o.topo.plan.Kafka.FinalRead {
		return seen
	}
	begins, err := kadm.NewClient(o.client).ListStartOffsets(ctx, o.topo.topics()...)
	if err == nil {
		err = begins.Error()
	}
	if err != nil {
		seen.why = fmt.Sprintf("the final read did not begin: %v", err)
		return seen
	}
	gone := false
	o.starts.Each(func(l kadm.ListedOffset) {
		if b, ok := begins.Lookup(l.Topic, l.Partition); ok && b.Offset > l.Offset {
			gone = true
		}
	})
	if gone {
		seen.why = "retention has taken the beginning of the run; what the observer read stands"
		return seen
	}
	view, err := o.readAll(ctx, ends, seeds, gapLimit, extra)
	if err != nil {
		seen.why = err.Error()
		return seen
	}
	return reference{view: view, source: sourceFinalRead, complete: true}
}

// readAll reads the topics from the run's begin to the given ends.
func (o *observer) readAll(ctx context.Context, ends kadm.ListedOffsets, seeds []string, gapLimit int, extra []kgo.Opt) (*topicView, error) {
	left := map[string]map[int32]int64{} // where each partition is to be read to
	assign := map[string]map[int32]kgo.Offset{}
	ends.Each(func(l kadm.ListedOffset) {
		begin, ok := o.starts.Lookup(l.Topic, l.Partition)
		if !ok || begin.Offset >= l.Offset {
			return
		}
		if left[l.Topic] == nil {
			left[l.Topic], assign[l.Topic] = map[int32]int64{}, map[int32]kgo.Offset{}
		}
		left[l.Topic][l.Partition] = l.Offset
		assign[l.Topic][l.Partition] = kgo.NewOffset().At(begin.Offset)
	})
	view := newTopicView(o.topo, gapLimit)
	client, err := kgo.NewClient(append(append(observerOptions(o.topo, seeds), kgo.ConsumePartitions(assign)), extra...)...)
	if err != nil {
		return nil, fmt.Errorf("make the final reader: %w", err)
	}
	defer client.Close()
	open := 0
	for _, parts := range left {
		open += len(parts)
	}
	var s Stamp
	failed := context.DeadlineExceeded
	for open > 0 {
		fetches := client.PollFetches(ctx)
		fetches.EachError(func(topic string, partition int32, err error) {
			failed = fmt.Errorf("read %s partition %d: %w", topic, partition, err)
		})
		if ctx.Err() != nil {
			return nil, fmt.Errorf("the final read did not end in time: %w", failed)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			end, unread := left[r.Topic][r.Partition]
			if !unread || r.Offset >= end {
				return
			}
			view.see(r.Value, r.Partition, &s)
			if r.Offset == end-1 {
				delete(left[r.Topic], r.Partition)
				open--
			}
		})
	}
	return view, nil
}

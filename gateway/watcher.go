package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// watch looks for new partitions at each MetadataInterval, and resumes stopped
// ones as soon as Kafka answers.
func (c *consumer) watch(ctx context.Context) {
	discover := time.NewTicker(c.cfg.MetadataInterval)
	defer discover.Stop()
	retry := time.NewTicker(retryInterval)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.failed:
		case <-retry.C:
		case <-discover.C:
			c.discover(ctx)
			continue
		}
		if stopped := c.stopped(); len(stopped) > 0 {
			c.resume(ctx, stopped)
		}
	}
}

// discover assigns partitions that have been added, from their beginning on:
// nothing in them is older than the gateway. If the beginning is gone already,
// the fetch says so, and a gap is told of. In a group they are only noted: the
// group gives them to whom it will.
func (c *consumer) discover(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	topics, err := c.admin.ListTopics(ctx, c.cfg.Topics...)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			c.errors.record("look for new partitions", err)
		}
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, t := range topics {
		if t.Err != nil {
			c.errors.record("look for new partitions of topic "+name, t.Err)
			continue
		}
		add := make(map[int32]kgo.Offset)
		for p := len(c.partitions[name]); p < len(t.Partitions); p++ {
			c.log.Info("new partition", "topic", name, "partition", p)
			if c.group != nil {
				c.partitions[name] = append(c.partitions[name], partition{generation: c.generation, holding: away})
				continue
			}
			c.partitions[name] = append(c.partitions[name], partition{generation: c.generation})
			c.hub.readFrom(name, int32(p), 0)
			add[int32(p)] = kgo.NewOffset().At(0)
		}
		if len(add) > 0 {
			c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{name: add})
		}
	}
}

type stoppedPartition struct {
	topic     *topic
	partition int32
	next      int64
	failure   error
}

// stopped returns the partitions that have failed.
func (c *consumer) stopped() []stoppedPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s []stoppedPartition
	for topic, ps := range c.partitions {
		for p := range ps {
			if ps[p].failure != nil && ps[p].holding == held {
				s = append(s, stoppedPartition{c.hub.topics[topic], int32(p), ps[p].next, ps[p].failure})
			}
		}
	}
	return s
}

// resume takes the stopped partitions up again where they were left, or, if
// Kafka no longer has that offset, at the nearest that it has, and tells of what
// lies between. What can't be resumed now is tried again later.
func (c *consumer) resume(ctx context.Context, stopped []stoppedPartition) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	starts, err := c.admin.ListStartOffsets(ctx, c.cfg.Topics...)
	if err != nil {
		c.errors.record("list start offsets", err)
		return
	}
	ends, err := c.admin.ListEndOffsets(ctx, c.cfg.Topics...)
	if err != nil {
		c.errors.record("list end offsets", err)
		return
	}
	recreated := make(map[*topic]bool)
	for _, s := range stopped {
		if errors.Is(s.failure, kerr.UnknownTopicID) {
			recreated[s.topic] = true
		}
	}
	for t := range recreated {
		detail, err := askTopic(ctx, c.client, t.name)
		if err != nil {
			c.errors.record("look for topic "+t.name, err)
			continue
		}
		if c.hub.isAnew(t, detail.id) {
			c.restart(t, detail.id, ends)
		} else {
			delete(recreated, t) // a broker that has not heard of it yet
		}
	}
	for _, s := range stopped {
		if !recreated[s.topic] {
			c.resumeOne(s, starts, ends)
		}
	}
}

func (c *consumer) resumeOne(s stoppedPartition, starts, ends kadm.ListedOffsets) {
	start, haveStart := starts.Lookup(s.topic.name, s.partition)
	end, haveEnd := ends.Lookup(s.topic.name, s.partition)
	if !haveStart || !haveEnd || start.Err != nil || end.Err != nil {
		return
	}
	c.client.RemoveConsumePartitions(map[string][]int32{s.topic.name: {s.partition}})
	next := s.next
	switch {
	case next < start.Offset:
		c.gap(s.topic, s.partition, next, start.Offset)
		next = start.Offset
	case next > end.Offset:
		c.truncation(s.topic, s.partition, end.Offset, next)
		next = end.Offset
	}
	c.readOn(s.topic, s.partition, next)
}

// readOn reads a partition from next on, unless it was given up meanwhile.
func (c *consumer) readOn(t *topic, p int32, next int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := &c.partitions[t.name][p]
	if at.holding != held {
		return
	}
	at.next, at.failure = next, nil
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: {p: kgo.NewOffset().At(next)}})
	c.log.Info("partition resumed", "topic", t.name, "partition", p, "offset", next)
}

// restart begins a topic that was deleted and created again at its beginning:
// its records are others, whatever their offsets.
func (c *consumer) restart(t *topic, id [16]byte, ends kadm.ListedOffsets) {
	if len(ends[t.name]) == 0 || ends[t.name][0].Err != nil {
		return // not created again yet
	}
	c.client.PurgeTopicsFromConsuming(t.name)
	c.mu.Lock()
	old := c.partitions[t.name]
	delete(c.partitions, t.name)
	c.generation++
	c.mu.Unlock()
	for p := range old {
		if old[p].holding == held {
			c.truncation(t, int32(p), 0, old[p].next)
		}
	}
	c.hub.readAnew(t.name, id)
	if c.group != nil {
		c.group.restart(t, old, len(ends[t.name]))
	} else {
		c.assign(map[string][]int64{t.name: make([]int64, len(ends[t.name]))})
	}
	c.log.Warn("topic was created anew", "topic", t.name)
}

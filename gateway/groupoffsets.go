package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// committable is how far a partition was read, for its next reader.
type committable struct {
	topic     *topic
	partition int32
	offset    int64 // the first that was not put into the clients' queues
}

// prepare gives a new group its beginning, the end of each topic, before it has
// a member: what is older is not of interest. A partition that is added later
// has no commit, and is read from its own beginning.
func (m *groupMember) prepare(ctx context.Context) error {
	ends, err := m.c.resolveEnds(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	offsets, err := m.offsets(ctx)
	if err != nil {
		return err
	}
	begin := make(kadm.Offsets)
	for topic, ps := range ends {
		if len(offsets[topic]) > 0 {
			continue
		}
		for p, end := range ps {
			begin.AddOffset(topic, int32(p), end, -1)
		}
	}
	// Where another gateway has joined meanwhile, it has begun the group, and this
	// fails, and finds so when it is tried again.
	if len(begin) > 0 {
		if err := m.c.admin.CommitAllOffsets(ctx, m.group(), begin); err != nil {
			return fmt.Errorf("begin the consumer group at the topics' ends: %w", err)
		}
	}
	m.c.know(ends)
	return nil
}

// offsets are those that are committed: none of a group that does not exist yet.
func (m *groupMember) offsets(ctx context.Context) (kadm.OffsetResponses, error) {
	offsets, err := m.c.admin.FetchOffsets(ctx, m.group())
	if err == nil {
		err = offsets.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fetch the offsets of the consumer group %s: %w", m.group(), err)
	}
	return offsets, nil
}

// know notes the partitions that there are, none of which is held.
func (c *consumer) know(ends map[string][]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, ps := range ends {
		c.partitions[topic] = make([]partition, len(ps))
		for p := range ps {
			c.partitions[topic][p] = partition{next: -1, holding: away}
		}
	}
}

// account counts the partitions: how many the group has not given to this
// gateway, how many it reads, and how many there are.
func (c *consumer) account() (lacking, begun, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ps := range c.partitions {
		for p := range ps {
			all++
			switch ps[p].holding {
			case away:
				lacking++
			case held:
				begun++
			case awaited:
			}
		}
	}
	return lacking, begun, all
}

// begin reads the partitions that are awaited from where the group is, or where
// this gateway was itself if that is further on: then its last commit is missing,
// and its clients have those records. What can't be done now is tried again.
func (m *groupMember) begin(ctx context.Context) {
	if !m.c.awaits() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	offsets, err := m.offsets(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			m.c.errors.record("begin partitions", err)
		}
		return
	}
	if m.c.beginAt(offsets) && !m.c.cfg.Consume.Routed {
		m.c.hub.suspend() // another member had partitions meanwhile
	}
	m.evaluate(false, nil)
}

// awaits reports whether a partition is awaited.
func (c *consumer) awaits() bool {
	lacking, begun, all := c.account()
	return lacking+begun < all
}

// beginAt reads the partitions that are awaited, and reports whether there are
// records that another member has read since this one held them.
func (c *consumer) beginAt(committed kadm.OffsetResponses) (missed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := make(map[string]map[int32]kgo.Offset)
	for topic, ps := range c.partitions {
		for p := range ps {
			at := &ps[p]
			if at.holding != awaited {
				continue
			}
			var start int64 // that of a partition that is newer than the group
			if o, ok := committed.Lookup(topic, int32(p)); ok && o.At >= 0 {
				start = o.At
			}
			missed = missed || at.next >= 0 && start > at.next
			at.next, at.failure, at.holding = max(start, at.next), nil, held
			at.end = at.next
			if add[topic] == nil {
				add[topic] = make(map[int32]kgo.Offset)
			}
			add[topic][int32(p)] = kgo.NewOffset().At(at.next)
			c.log.Info("partition joined", "topic", topic, "partition", p, "offset", at.next)
		}
	}
	c.client.AddConsumePartitions(add)
	return missed
}

// release gives partitions up: when it returns, no record of them will be put
// into a queue, and what conflation held of them is there.
func (m *groupMember) release(partitions map[string][]int32) (positions []committable) {
	c := m.c
	c.taking.Lock()
	defer c.taking.Unlock()
	c.mu.Lock()
	remove := make(map[string][]int32)
	each(partitions, func(topic string, p int32) {
		ps := c.partitions[topic]
		if int(p) >= len(ps) {
			return
		}
		if ps[p].holding == held {
			positions = append(positions, committable{c.hub.topics[topic], p, ps[p].next})
			remove[topic] = append(remove[topic], p)
		}
		ps[p].holding, ps[p].failure = away, nil
		c.log.Info("partition given up", "topic", topic, "partition", p, "offset", ps[p].next)
	})
	c.client.RemoveConsumePartitions(remove)
	c.mu.Unlock()
	for _, at := range positions {
		c.hub.flushHeld(at.topic, at.partition)
	}
	return positions
}

// restart begins a topic that was created anew: what this gateway holds of it, at
// the beginning.
func (m *groupMember) restart(t *topic, old []partition, partitions int) {
	c := m.c
	c.mu.Lock()
	defer c.mu.Unlock()
	add := make(map[int32]kgo.Offset)
	for p := range partitions {
		at := partition{next: -1, holding: away, generation: c.generation}
		if p < len(old) {
			at.holding = old[p].holding
		}
		if at.holding == held {
			at.next = 0
			add[int32(p)] = kgo.NewOffset().At(0)
		}
		c.partitions[t.name] = append(c.partitions[t.name], at)
	}
	c.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.name: add})
}

// positions are those of all partitions held, as far as records of them are in
// the clients' queues.
func (c *consumer) positions() (positions []committable) {
	c.mu.Lock()
	for topic, ps := range c.partitions {
		for p := range ps {
			if ps[p].holding == held {
				positions = append(positions, committable{c.hub.topics[topic], int32(p), ps[p].next})
			}
		}
	}
	c.mu.Unlock()
	for i := range positions {
		at := &positions[i]
		if held, ok := c.hub.oldestHeld(at.topic, at.partition); ok {
			at.offset = min(at.offset, held)
		}
	}
	return positions
}

// commit commits the positions, or, with nil, those of all partitions held that
// have changed. An error is recorded; what changes later is tried again.
func (m *groupMember) commit(ctx context.Context, positions []committable) {
	m.committing.Lock()
	defer m.committing.Unlock()
	if positions == nil {
		positions = m.c.positions()
	}
	changed := make(map[string]map[int32]kgo.EpochOffset)
	for _, at := range positions {
		name, offset := at.topic.name, kgo.EpochOffset{Epoch: -1, Offset: at.offset}
		if last, ok := m.committed[name][at.partition]; ok && last == offset {
			continue
		}
		if changed[name] == nil {
			changed[name] = make(map[int32]kgo.EpochOffset)
		}
		changed[name][at.partition] = offset
	}
	if len(changed) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	m.client.CommitOffsetsSync(ctx, changed, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = commitError(answer)
		}
		if err == nil {
			m.noteCommitted(changed)
		} else if !errors.Is(err, context.Canceled) {
			m.c.errors.record("commit offsets of the consumer group "+m.group(), err)
		}
	})
}

func (m *groupMember) noteCommitted(offsets map[string]map[int32]kgo.EpochOffset) {
	for topic, ps := range offsets {
		if m.committed[topic] == nil {
			m.committed[topic] = make(map[int32]kgo.EpochOffset)
		}
		for p, o := range ps {
			m.committed[topic][p] = o
		}
	}
}

func commitError(answer *kmsg.OffsetCommitResponse) error {
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d of topic %s: %w", p.Partition, t.Topic, err)
			}
		}
	}
	return nil
}

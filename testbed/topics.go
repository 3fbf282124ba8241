package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/scenarios"
)

const (
	leadersIn = 30 * time.Second // for new topics to be known by every broker and led
	mebibyte  = 1 << 20
)

// EnsureTopics creates the topics that are not Existing, under the names that name gives them (nil keeps them), and
// returns when every broker knows a leader for every partition and each leader serves its own. An Existing topic keeps its own name and must be there with the plan's number of partitions, any number
// where the plan says 0. All that is wrong is told at once, and then nothing that was created is left.
//
// Retention is set where the plan has it. The embedded Kafka gets retention by size alone.
func (k *Kafka) EnsureTopics(ctx context.Context, topics []scenarios.Topic, name func(string) string) error {
	a, err := newAdmin(k.Seeds, k.security)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	defer a.close()
	c, err := a.reach(ctx)
	if err != nil {
		return fmt.Errorf("create topics: %w", err)
	}
	topics = named(topics, name)
	if err := k.checkTopics(ctx, a, c, topics); err != nil {
		return err
	}
	created, err := k.createTopics(ctx, a, c, topics)
	if err == nil || len(created) == 0 {
		return err
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), reachIn)
	defer cancel()
	return errors.Join(err, k.DeleteTopics(undo, created...))
}

// named returns the topics under their names in Kafka.
func named(topics []scenarios.Topic, name func(string) string) []scenarios.Topic {
	out := slices.Clone(topics)
	for i := range out {
		if !out[i].Existing && name != nil {
			out[i].Name = name(out[i].Name)
		}
	}
	return out
}

// checkTopics finds everything that can be known to be wrong before the first topic is created.
func (k *Kafka) checkTopics(ctx context.Context, a *admin, c clusterState, topics []scenarios.Topic) error {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	resp, err := a.metadata(ctx, a.cl, names...)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	found := map[string]kmsg.MetadataResponseTopic{}
	for _, t := range resp.Topics {
		if t.Topic != nil {
			found[*t.Topic] = t
		}
	}
	var errs []error
	for _, t := range topics {
		if t.Existing {
			errs = append(errs, checkExisting(t, found[t.Name]))
		} else {
			errs = append(errs, checkNew(t, found[t.Name], len(c.brokers)))
		}
	}
	return errors.Join(errs...)
}

func checkExisting(t scenarios.Topic, found kmsg.MetadataResponseTopic) error {
	if err := kerr.ErrorForCode(found.ErrorCode); err != nil {
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("use existing topic %s: it isn't there (create it, or drop `existing` to have it created)", t.Name)
		}
		return fmt.Errorf("use existing topic %s: %w", t.Name, err)
	}
	if n := len(found.Partitions); t.Partitions != 0 && n != t.Partitions {
		return fmt.Errorf("use existing topic %s: it has %s where the scenario says %d (set partitions: %d)",
			t.Name, count(n, "partition"), t.Partitions, n)
	}
	return nil
}

func checkNew(t scenarios.Topic, found kmsg.MetadataResponseTopic, brokers int) error {
	switch {
	case found.Topic != nil && found.ErrorCode == 0:
		return fmt.Errorf("create topic %s: it is there already (set `existing: true` to use it as it is, or choose another name)", t.Name)
	case t.Partitions < 1:
		return fmt.Errorf("create topic %s: %d partitions (give 1 or more)", t.Name, t.Partitions)
	case t.Replication > brokers:
		return fmt.Errorf("create topic %s: the cluster has %s and can't hold replication %d (lower replication, or add brokers)",
			t.Name, count(brokers, "broker"), t.Replication)
	case t.MinISR > max(t.Replication, 1):
		return fmt.Errorf("create topic %s: min_isr %d exceeds replication %d, so that no send could be acked (lower min_isr)",
			t.Name, t.MinISR, t.Replication)
	}
	return nil
}

// createTopics returns which topics it has created, with an error too.
func (k *Kafka) createTopics(ctx context.Context, a *admin, c clusterState, topics []scenarios.Topic) (created []string, _ error) {
	partitions := map[string]int{}
	var errs []error
	for _, t := range topics {
		partitions[t.Name] = t.Partitions
		if t.Existing {
			continue
		}
		if err := k.createTopic(ctx, a, t); err != nil {
			errs = append(errs, err)
			continue
		}
		created = append(created, t.Name)
	}
	if err := errors.Join(errs...); err != nil {
		return created, err
	}
	ctx, cancel := context.WithTimeout(ctx, leadersIn)
	defer cancel()
	for _, b := range c.brokers {
		if err := a.awaitLeaders(ctx, b.NodeID, partitions); err != nil {
			return created, err
		}
	}
	return created, a.awaitServed(ctx, partitions)
}

func (k *Kafka) createTopic(ctx context.Context, a *admin, t scenarios.Topic) error {
	replication := int16(t.Replication)
	if replication < 1 {
		replication = -1 // the broker's default
	}
	resp, err := a.adm.CreateTopic(ctx, int32(t.Partitions), replication, k.topicConfig(t), t.Name)
	switch {
	case err == nil:
		k.mu.Lock()
		k.created = append(k.created, t.Name)
		k.mu.Unlock()
		return nil
	case resp.ErrMessage != "":
		return fmt.Errorf("create topic %s: %w: %s", t.Name, err, resp.ErrMessage)
	}
	return fmt.Errorf("create topic %s: %w", t.Name, err)
}

func (k *Kafka) topicConfig(t scenarios.Topic) map[string]*string {
	c := map[string]*string{}
	set := func(key string, v int64) {
		s := strconv.FormatInt(v, 10)
		c[key] = &s
	}
	if t.MinISR > 0 {
		set("min.insync.replicas", int64(t.MinISR))
	}
	embedded := k.provider == scenarios.ProviderEmbedded
	if t.RetentionBytes > 0 {
		set("retention.bytes", t.RetentionBytes)
		set("segment.bytes", segmentBytes(t.RetentionBytes, embedded))
	}
	if embedded {
		// kfake looks at every retained batch for retention by time, on the goroutine that serves clients.
		set("retention.ms", -1)
	}
	return c
}

// segmentBytes is the size at which a partition's segment is closed: only whole segments are given back. Kafka 4 takes
// no less than 1 MiB, and a file for each MiB of a large retention would be many. kfake copies a segment's memory as it
// grows, so small ones stall it least.
func segmentBytes(retention int64, embedded bool) int64 {
	if embedded {
		return min(retention, mebibyte)
	}
	return min(max(retention/8, mebibyte), 128*mebibyte)
}

// awaitLeaders polls one broker until it knows a leader for each partition of the topics; 0 partitions stands for any
// number.
func (a *admin) awaitLeaders(ctx context.Context, broker int32, partitions map[string]int) error {
	names := slices.Sorted(maps.Keys(partitions))
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		resp, err := a.metadata(ctx, a.cl.Broker(int(broker)), names...)
		var missing string
		if err == nil {
			if missing = leaderless(resp, partitions); missing == "" {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if missing == "" && err != nil {
				missing = err.Error()
			}
			return fmt.Errorf("await leaders of new topics on broker %d: %w: %s (is a broker down?)", broker, context.Cause(ctx), missing)
		}
	}
}

// leaderless names the first topic or partition without a leader, "" when there is none.
func leaderless(resp *kmsg.MetadataResponse, partitions map[string]int) string {
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
			return fmt.Sprintf("topic %s: %v", *t.Topic, err)
		}
		if want := partitions[*t.Topic]; want != 0 && len(t.Partitions) != want {
			return fmt.Sprintf("topic %s has %d of %d partitions", *t.Topic, len(t.Partitions), want)
		}
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 {
				return fmt.Sprintf("partition %s/%d has no leader", *t.Topic, p.Partition)
			}
		}
	}
	return ""
}

// awaitServed polls until the leader of every partition serves it. Kafka's brokers publish new metadata before they act on
// it: for some milliseconds a broker names itself the leader and refuses the partition as not its own, and a client that
// comes then waits out its metadata's minimal age, five seconds for kgo.
func (a *admin) awaitServed(ctx context.Context, partitions map[string]int) error {
	if len(partitions) == 0 {
		return nil // no names would ask for every topic of the cluster
	}
	names := slices.Sorted(maps.Keys(partitions))
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		offsets, err := a.adm.ListEndOffsets(ctx, names...)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("await leaders of new topics to serve them: %w: %w (is a broker down?)", context.Cause(ctx), err)
		}
	}
}

// DeleteTopics deletes the topics that this run created, or those of them that are named; others are left alone. Topics
// that have gone already are no error.
func (k *Kafka) DeleteTopics(ctx context.Context, names ...string) error {
	k.mu.Lock()
	doomed := slices.DeleteFunc(slices.Clone(k.created), func(t string) bool {
		return len(names) > 0 && !slices.Contains(names, t)
	})
	k.mu.Unlock()
	if len(doomed) == 0 {
		return nil
	}
	a, err := newAdmin(k.Seeds, k.security)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	defer a.close()
	if _, err := a.reach(ctx); err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	resp, err := a.adm.DeleteTopics(ctx, doomed...)
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, r := range resp.Sorted() {
		if r.Err != nil && !errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
			errs = append(errs, fmt.Errorf("delete topic %s: %w", r.Topic, r.Err))
			continue
		}
		k.created = slices.DeleteFunc(k.created, func(t string) bool { return t == r.Topic })
	}
	return errors.Join(errs...)
}

package gateway

import (
	"fmt"
	"slices"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

const (
	// defaultBatchBytes is what a writer writes at once.
	defaultBatchBytes = maxBurstBytes
	// batchesInQueue is how many batches a queue is to hold at least.
	batchesInQueue = 4

	shortestBatch = time.Millisecond
	longestBatch  = 10 * time.Second
)

// setBatchDefaults leaves the caller's list as it is.
func (c *Config) setBatchDefaults() {
	c.Batch = slices.Clone(c.Batch)
	for i := range c.Batch {
		setDefault(&c.Batch[i].Bytes, min(defaultBatchBytes, c.QueueBytes/batchesInQueue))
	}
}

func (c *Config) checkBatch() (errs []error) {
	for i, b := range c.Batch {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("Batch[%d]: "+format, append([]any{i}, args...)...))
		}
		if !slices.Contains(c.Topics, b.Topic) {
			bad("topic %q is not one of Topics", b.Topic)
		}
		if slices.IndexFunc(c.Batch, func(o settings.Batch) bool { return o.Topic == b.Topic }) < i {
			bad("topic %q is named twice", b.Topic)
		}
		if slices.ContainsFunc(c.Conflate, func(o Conflation) bool { return o.Topic == b.Topic }) {
			bad("topic %q is conflated, and what conflation holds back must not be held again (leave out one of the two)", b.Topic)
		}
		if b.Interval < shortestBatch || b.Interval > longestBatch {
			bad("an interval of %s is not from %s to %s", b.Interval, shortestBatch, longestBatch)
		}
		if most := c.QueueBytes / batchesInQueue; b.Bytes < 1 || b.Bytes > most {
			bad("%d bytes are not from 1 to %d, a quarter of QueueBytes", b.Bytes, most)
		}
	}
	return errs
}

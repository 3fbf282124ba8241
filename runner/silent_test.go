package runner

import (
	"testing"
	"time"

	"github.com/weirbench/weir/internal/testkit"
)

// TestTargetThatIsSilent: a target that accepts and delivers nothing ends the run long before the join deadline, with the
// causes that fit: kafkajs stops at a batch in zstd while its sockets stay open.
func TestTargetThatIsSilent(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, testPartitions, testTopic)
	plan := smallPlan(kafka.ListenAddrs(), testkit.SilentTarget(t))
	plan.Producers[0].Compression = "zstd"
	plan.Phases.JoinDeadline = 12 * time.Second
	plan.Phases.Measure[0].Duration = time.Minute
	wantEarlyEnd(t, runPlan(t, plan), time.Minute, "the target is silent: for 6", "reached any of 24 connected clients",
		"(a) batches are compressed (zstd by feed)", "compression: gzip or none", "(b) it consumes other topics than "+testTopic,
		"(c) the profile's subscribe is not what it wants, or its channel and key_channel are not what the target calls them; the first that came: ")
}

package testkit

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka starts an in-process cluster of one broker with the topics, each of that many partitions. It ends with the test.
func Kafka(t testing.TB, partitions int, topics ...string) *kfake.Cluster {
	t.Helper()
	return KafkaWith(t, kfake.SeedTopics(int32(partitions), topics...))
}

// KafkaWith starts an in-process cluster of one broker with further options. It ends with the test.
func KafkaWith(t testing.TB, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	if err != nil {
		t.Fatalf("start an in-process Kafka: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

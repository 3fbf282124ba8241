package testkit

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Kafka starts an in-process cluster of one broker with the topics, each of that many partitions. It ends with the test.
func Kafka(t testing.TB, partitions int, topics ...string) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(int32(partitions), topics...))
	if err != nil {
		t.Fatalf("start an in-process Kafka: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

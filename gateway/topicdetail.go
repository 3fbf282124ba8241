package gateway

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicDetail is a topic's id and the leaders of its partitions.
type topicDetail struct {
	id      [16]byte
	leaders map[int32]int32
}

// askTopic asks a broker. What the Kafka client remembers would not do: it may be
// of a topic that was deleted since.
func askTopic(ctx context.Context, client *kgo.Client, name string) (topicDetail, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = kmsg.StringPtr(name)
	req.Topics = append(req.Topics, t)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return topicDetail{}, err
	}
	if len(resp.Topics) != 1 {
		return topicDetail{}, errors.New("the answer about the topic is empty")
	}
	answer := &resp.Topics[0]
	if err := kerr.ErrorForCode(answer.ErrorCode); err != nil {
		return topicDetail{}, err
	}
	d := topicDetail{id: answer.TopicID, leaders: make(map[int32]int32, len(answer.Partitions))}
	for _, p := range answer.Partitions {
		d.leaders[p.Partition] = p.Leader
	}
	return d, nil
}

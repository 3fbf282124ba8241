package loadgen

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// outcome is what is known of a send.
type outcome uint8

const (
	sendAcked outcome = iota
	// sendRefused: the error proves that nothing was written.
	sendRefused
	// sendUnsettled: it may have been written; a delivery, the observer or the final read settles it.
	sendUnsettled
)

// refusals are the errors that prove that no broker appended the record. Everything else, timeouts and cancellations
// above all, leaves the send unsettled: an attempt may have been appended and its answer lost.
var refusals = []error{
	kgo.ErrMaxBuffered,
	kerr.MessageTooLarge,
	kerr.RecordListTooLarge,
	kerr.InvalidRecord,
	kerr.InvalidTopicException,
	kerr.InvalidRequiredAcks,
	kerr.TopicAuthorizationFailed,
	kerr.ClusterAuthorizationFailed,
	kerr.UnsupportedForMessageFormat,
}

// outcomeOf classifies the answer to a send. acks tells whether the broker was asked for an answer at all.
func outcomeOf(err error, acks bool) outcome {
	if err == nil {
		if !acks {
			return sendUnsettled
		}
		return sendAcked
	}
	for _, r := range refusals {
		if errors.Is(err, r) {
			return sendRefused
		}
	}
	return sendUnsettled
}

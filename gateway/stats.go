package gateway

import (
	"runtime"
	"sync/atomic"
)

// Stats is what /stats answers. Counters run from the gateway's start. For the
// records put into queues, Queued = Deliveries + Dropped + Abandoned + those
// still waiting or being written.
type Stats struct {
	InstanceID    string `json:"instance"`
	Connections   int64  `json:"connections"`   // open now
	Subscriptions int64  `json:"subscriptions"` // in force now

	ConnectionsTotal int64 `json:"connections_total"`
	Records          int64 `json:"records"`          // read from Kafka
	RecordBytes      int64 `json:"record_bytes"`     // their keys and values
	Queued           int64 `json:"queued"`           // records × clients they were meant for
	Deliveries       int64 `json:"deliveries"`       // of these, written to the socket
	Dropped          int64 `json:"dropped"`          // dropped by the drop-oldest policy
	Abandoned        int64 `json:"abandoned"`        // left behind when a client was closed
	SlowDisconnects  int64 `json:"slow_disconnects"` // clients closed for a full queue or a write timeout
	BytesWritten     int64 `json:"bytes_written"`    // of WebSocket frames
	Writes           int64 `json:"writes"`           // system calls that wrote them, at least
	KafkaErrors      int64 `json:"kafka_errors"`     // fetch, connection and metadata errors, retried ones included
	KafkaGaps        int64 `json:"kafka_gaps"`       // out-of-range offsets and truncations
	ErrorsSent       int64 `json:"errors_sent"`      // error messages to clients
	Conflated        int64 `json:"conflated"`        // records that a newer one of their key took the place of
	Batches          int64 `json:"batches"`          // batches × clients they were queued for
	Batched          int64 `json:"batched"`          // of Queued, those in batches
	SlowNotices      int64 `json:"slow_notices"`     // notices to clients that their queue is half full

	Published           int64 `json:"published"`            // clients' records that Kafka has acknowledged
	PublishRefused      int64 `json:"publish_refused"`      // publish messages of which nothing was written
	PublishUndetermined int64 `json:"publish_undetermined"` // those that may have been written
	Publishing          int64 `json:"publishes_in_flight"`  // those without an answer, now
	// PublishDuplicates are publish messages that were answered with what had
	// become of an earlier one of their message_id. They are in none of the above.
	PublishDuplicates int64 `json:"publish_duplicates"`
	PublishIDs        int64 `json:"publish_ids"`           // message ids remembered now, as of the last one used
	IDsForgotten      int64 `json:"publish_ids_forgotten"` // those forgotten before their time, for want of memory

	Resumes        int64 `json:"resumes"`         // requests to resume that were answered
	ResumesLost    int64 `json:"resumes_lost"`    // of these, with resumed false
	ReplayedMemory int64 `json:"replayed_memory"` // records given to clients that had missed them, from memory
	ReplayedKafka  int64 `json:"replayed_kafka"`  // those that had to be read again
	// ReplayedDeliveries are those of Deliveries that the clients had missed.
	ReplayedDeliveries int64 `json:"replayed_deliveries"`
	ReplaysRunning     int64 `json:"replays_running"` // now
	ReplaysWaiting     int64 `json:"replays_waiting"` // for others to end, now
	RecentBytes        int64 `json:"recent_bytes"`    // of the records in memory, now

	Goroutines int64 `json:"goroutines"` // of the whole process, now

	Closes map[string]int64 `json:"closes"` // connections that ended or are being closed, by name of close code
}

// counters are what Stats is made from. All goroutines add to them.
type counters struct {
	connections, subscriptions, connectionsTotal atomic.Int64
	records, recordBytes                         atomic.Int64
	queued, deliveries, dropped, abandoned       atomic.Int64
	bytesWritten, writes                         atomic.Int64
	kafkaErrors, kafkaGaps, errorsSent           atomic.Int64
	conflated, slowNotices                       atomic.Int64
	batches, batched                             atomic.Int64
	published, refused, undetermined, publishing atomic.Int64
	reloadFailures                               atomic.Int64 // of certificates, key sets and secrets
	refusedHandshakes                            [len(refusals)]atomic.Int64
	duplicates, ids, idsForgotten                atomic.Int64
	ackLatency, writeLatency                     latencies
	resumes, resumesLost                         atomic.Int64
	replayedMemory, replayedKafka                atomic.Int64
	replayedDeliveries                           atomic.Int64
	replaysRunning, replaysWaiting, recentBytes  atomic.Int64
	replayTime                                   latencies
	closes                                       [len(closeCodes)]atomic.Int64
}

func (c *counters) closed(code CloseCode) {
	if i := code.index(); i >= 0 {
		c.closes[i].Add(1)
	}
}

func (c *counters) stats(instanceID string) Stats {
	s := Stats{
		InstanceID:       instanceID,
		Connections:      c.connections.Load(),
		Subscriptions:    c.subscriptions.Load(),
		ConnectionsTotal: c.connectionsTotal.Load(),
		Records:          c.records.Load(),
		RecordBytes:      c.recordBytes.Load(),
		Queued:           c.queued.Load(),
		Deliveries:       c.deliveries.Load(),
		Dropped:          c.dropped.Load(),
		Abandoned:        c.abandoned.Load(),
		BytesWritten:     c.bytesWritten.Load(),
		Writes:           c.writes.Load(),
		KafkaErrors:      c.kafkaErrors.Load(),
		KafkaGaps:        c.kafkaGaps.Load(),
		ErrorsSent:       c.errorsSent.Load(),
		Conflated:        c.conflated.Load(),
		Batches:          c.batches.Load(),
		Batched:          c.batched.Load(),
		SlowNotices:      c.slowNotices.Load(),
		Closes:           make(map[string]int64, len(closeCodes)),

		Published:           c.published.Load(),
		PublishRefused:      c.refused.Load(),
		PublishUndetermined: c.undetermined.Load(),
		Publishing:          c.publishing.Load(),
		PublishDuplicates:   c.duplicates.Load(),
		PublishIDs:          c.ids.Load(),
		IDsForgotten:        c.idsForgotten.Load(),

		Resumes:            c.resumes.Load(),
		ResumesLost:        c.resumesLost.Load(),
		ReplayedMemory:     c.replayedMemory.Load(),
		ReplayedKafka:      c.replayedKafka.Load(),
		ReplayedDeliveries: c.replayedDeliveries.Load(),
		ReplaysRunning:     c.replaysRunning.Load(),
		ReplaysWaiting:     c.replaysWaiting.Load(),
		RecentBytes:        c.recentBytes.Load(),

		Goroutines: int64(runtime.NumGoroutine()),
	}
	for i := range closeCodes {
		n := c.closes[i].Load()
		s.Closes[closeCodes[i].name] = n
		switch closeCodes[i].code {
		case CloseSlowClient, CloseWriteTimeout:
			s.SlowDisconnects += n
		}
	}
	return s
}

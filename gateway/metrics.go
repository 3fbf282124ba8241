package gateway

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// latencyBounds are the upper bounds of the buckets of latencies.
var latencyBounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
	25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// latencies is a histogram. Any goroutine observes and reads.
type latencies struct {
	buckets [len(latencyBounds)]atomic.Int64 // those up to the bound and above the one before
	over    atomic.Int64
	sum     atomic.Int64 // ns
}

func (l *latencies) observe(d time.Duration) {
	l.sum.Add(int64(d))
	for i := range latencyBounds {
		if d <= latencyBounds[i] {
			l.buckets[i].Add(1)
			return
		}
	}
	l.over.Add(1)
}

// cumulative is the histogram as Prometheus counts: a bucket holds those before it.
func (l *latencies) cumulative() (count uint64, seconds float64, buckets map[float64]uint64) {
	buckets = make(map[float64]uint64, len(latencyBounds))
	for i := range latencyBounds {
		count += uint64(l.buckets[i].Load())
		buckets[latencyBounds[i].Seconds()] = count
	}
	count += uint64(l.over.Load())
	return count, time.Duration(l.sum.Load()).Seconds(), buckets
}

// metrics makes Prometheus metrics of what the gateway counts anyway, when they
// are asked for.
type metrics struct {
	hub      *hub
	consumer *consumer
	counters *counters
}

// metric is one that has a value and no labels.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*Stats) int64
}

func newMetric(kind prometheus.ValueType, name, help string, value func(*Stats) int64) metric {
	return metric{prometheus.NewDesc("weir_gateway_"+name, help, nil, nil), kind, value}
}

// plainMetrics are those of Stats.
func plainMetrics() []metric {
	const gauge, counter = prometheus.GaugeValue, prometheus.CounterValue
	return []metric{
		newMetric(gauge, "connections", "WebSocket connections open now.", func(s *Stats) int64 { return s.Connections }),
		newMetric(gauge, "subscriptions", "Subscriptions in force now.", func(s *Stats) int64 { return s.Subscriptions }),
		newMetric(gauge, "publishes_in_flight", "Publish messages without an answer now.", func(s *Stats) int64 { return s.Publishing }),
		newMetric(gauge, "publish_ids", "Message ids remembered, as of the last one used.", func(s *Stats) int64 { return s.PublishIDs }),
		newMetric(counter, "publish_ids_forgotten_total", "Message ids forgotten before their time, for want of memory.", func(s *Stats) int64 { return s.IDsForgotten }),
		newMetric(counter, "publish_duplicates_total", "Publish messages answered with what became of an earlier one of their message id.", func(s *Stats) int64 { return s.PublishDuplicates }),
		newMetric(counter, "accepted_connections_total", "WebSocket connections accepted.", func(s *Stats) int64 { return s.ConnectionsTotal }),
		newMetric(counter, "records_total", "Records read from Kafka.", func(s *Stats) int64 { return s.Records }),
		newMetric(counter, "record_bytes_total", "Keys and values of the records read from Kafka.", func(s *Stats) int64 { return s.RecordBytes }),
		newMetric(counter, "conflated_records_total", "Records that a newer one of their key took the place of.", func(s *Stats) int64 { return s.Conflated }),
		newMetric(counter, "batches_total", "Batches queued for clients.", func(s *Stats) int64 { return s.Batches }),
		newMetric(counter, "batched_deliveries_total", "Queued deliveries that were part of a batch.", func(s *Stats) int64 { return s.Batched }),
		newMetric(counter, "queued_deliveries_total", "Records times the clients they were meant for.", func(s *Stats) int64 { return s.Queued }),
		newMetric(counter, "deliveries_total", "Queued deliveries that were written to the socket.", func(s *Stats) int64 { return s.Deliveries }),
		newMetric(counter, "replayed_deliveries_total", "Deliveries of records that the client had missed.", func(s *Stats) int64 { return s.ReplayedDeliveries }),
		newMetric(counter, "dropped_deliveries_total", "Queued deliveries dropped by the drop-oldest policy.", func(s *Stats) int64 { return s.Dropped }),
		newMetric(counter, "abandoned_deliveries_total", "Queued deliveries left behind when a client was closed.", func(s *Stats) int64 { return s.Abandoned }),
		newMetric(counter, "slow_disconnects_total", "Clients closed for a full queue or a write timeout.", func(s *Stats) int64 { return s.SlowDisconnects }),
		newMetric(counter, "slow_notices_total", "Notices to clients that their queue is half full.", func(s *Stats) int64 { return s.SlowNotices }),
		newMetric(counter, "written_bytes_total", "Bytes of WebSocket frames written.", func(s *Stats) int64 { return s.BytesWritten }),
		newMetric(counter, "writes_total", "Writes of WebSocket frames.", func(s *Stats) int64 { return s.Writes }),
		newMetric(gauge, "replays_running", "Replays to clients that came back, now.", func(s *Stats) int64 { return s.ReplaysRunning }),
		newMetric(gauge, "replays_waiting", "Replays that wait for others, now.", func(s *Stats) int64 { return s.ReplaysWaiting }),
		newMetric(gauge, "recent_bytes", "Recent records in memory.", func(s *Stats) int64 { return s.RecentBytes }),
		newMetric(counter, "errors_sent_total", "Error messages to clients.", func(s *Stats) int64 { return s.ErrorsSent }),
		newMetric(counter, "kafka_errors_total", "Errors of Kafka, retried ones included.", func(s *Stats) int64 { return s.KafkaErrors }),
		newMetric(counter, "kafka_gaps_total", "Out-of-range offsets and truncations.", func(s *Stats) int64 { return s.KafkaGaps }),
	}
}

// Describe implements prometheus.Collector. It describes nothing, which is to say
// that what Collect brings need not be checked.
func (m *metrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	s := m.counters.stats("")
	for _, p := range plainMetrics() {
		out <- prometheus.MustNewConstMetric(p.desc, p.kind, float64(p.value(&s)))
	}
	emit := func(kind prometheus.ValueType, name, help string, value float64, labels prometheus.Labels) {
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("weir_gateway_"+name, help, nil, labels), kind, value)
	}
	for code, n := range s.Closes {
		emit(prometheus.CounterValue, "closes_total", "Connections that ended, by name of their close code.", float64(n), prometheus.Labels{"code": code})
	}
	for outcome, n := range map[string]int64{answerPublished: s.Published, answerRefused: s.PublishRefused, answerUndetermined: s.PublishUndetermined} {
		emit(prometheus.CounterValue, "publishes_total", "Publish messages answered, by answer.", float64(n), prometheus.Labels{"outcome": outcome})
	}
	for outcome, n := range map[string]int64{"complete": s.Resumes - s.ResumesLost, "lost": s.ResumesLost} {
		emit(prometheus.CounterValue, "resumes_total", "Requests to resume that were answered, by outcome.", float64(n), prometheus.Labels{"outcome": outcome})
	}
	for source, n := range map[string]int64{"memory": s.ReplayedMemory, "kafka": s.ReplayedKafka} {
		emit(prometheus.CounterValue, "replayed_records_total", "Records given to clients that had missed them, by source.", float64(n), prometheus.Labels{"source": source})
	}
	replays, replayed, replayBuckets := m.counters.replayTime.cumulative()
	out <- prometheus.MustNewConstHistogram(prometheus.NewDesc("weir_gateway_replay_duration_seconds",
		"Time from a request to resume until its channels were live.", nil, nil), replays, replayed, replayBuckets)
	total, largest := m.hub.waiting()
	emit(prometheus.GaugeValue, "queue_bytes", "Bytes that wait for clients, of all queues.", float64(total), nil)
	emit(prometheus.GaugeValue, "largest_queue_bytes", "Bytes that wait for the client for which most do.", float64(largest), nil)
	m.counters.collectSecurity(emit)
	m.consumer.lags(func(topic string, partition int, records int64) {
		emit(prometheus.GaugeValue, "consumer_lag_records", "Records not read yet at the last fetch of the partition.", float64(records),
			prometheus.Labels{"topic": topic, "partition": strconv.Itoa(partition)})
	})
	histogram := func(name, help string, l *latencies) {
		count, seconds, buckets := l.cumulative()
		out <- prometheus.MustNewConstHistogram(prometheus.NewDesc("weir_gateway_"+name, help, nil, nil), count, seconds, buckets)
	}
	histogram("publish_ack_duration_seconds", "Time from a publish message to Kafka's acknowledgement.", &m.counters.ackLatency)
	histogram("delivery_duration_seconds", "Time from the Kafka timestamp of the first record in a write to the write's end.", &m.counters.writeLatency)
	emit(prometheus.CounterValue, "dropped_traces_total", "Sampled records whose spans were dropped.", float64(m.consumer.tracer.droppedTraces()), nil)
}

// metricsHandler answers /metrics.
func metricsHandler(h *hub, c *consumer, counters *counters) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		&metrics{hub: h, consumer: c, counters: counters},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

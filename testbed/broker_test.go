package testbed

import (
	"net"
	"strconv"
	"testing"
	"time"
)

func TestDescribeDocker(t *testing.T) {
	t.Parallel()
	tests := []struct {
		version, image string
		n              int
		processors     int
		want           string
	}{
		{"4.3.1", "apache/kafka:4.3.1", 3, 6, "Apache Kafka 4.3.1 in Docker, 3 brokers"},
		{"4.3.1", "apache/kafka:4.3.1", 3, 4, "Apache Kafka 4.3.1 in Docker, 3 brokers (JVMs without their second compiler)"},
		{"", "apache/kafka:4.3.1", 1, 1, "Apache Kafka 4.3.1 in Docker, 1 broker"},
		{"4.3.1", "weir-kafka:test", 1, 2, "Apache Kafka 4.3.1 in Docker (image weir-kafka:test), 1 broker"},
		{"4.3.1", "apache/kafka:latest", 1, 2, "Apache Kafka 4.3.1 in Docker (image apache/kafka:latest), 1 broker"},
	}
	for _, tt := range tests {
		if got := describeDocker(tt.version, tt.image, tt.n, tt.processors); got != tt.want {
			t.Errorf("got %q; want %q", got, tt.want)
		}
	}
}

func TestBrokerEnv(t *testing.T) {
	t.Parallel()
	tests := []struct {
		id, of int
		want   map[string]string
	}{
		{1, 1, map[string]string{
			"KAFKA_CONTROLLER_QUORUM_VOTERS":         "1@localhost:9093",
			"KAFKA_ADVERTISED_LISTENERS":             "HOST://127.0.0.1:20001,INTERNAL://localhost:9094",
			"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
		}},
		{2, 3, map[string]string{
			"KAFKA_CONTROLLER_QUORUM_VOTERS":         "1@kafka-1:9093,2@kafka-2:9093,3@kafka-3:9093",
			"KAFKA_ADVERTISED_LISTENERS":             "HOST://127.0.0.1:20001,INTERNAL://kafka-2:9094",
			"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "3", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "2",
		}},
		{2, 2, map[string]string{"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "2", "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1"}},
	}
	for _, tt := range tests {
		env := (&broker{id: tt.id, of: tt.of, port: 20001}).env()
		for key, want := range tt.want {
			if got := env[key]; got != want {
				t.Errorf("broker %d of %d, %s: got %s; want %s", tt.id, tt.of, key, got, want)
			}
		}
	}
}

func TestBrokerReadsItsLog(t *testing.T) {
	t.Parallel()
	b, err := newBroker(1, 1, "", "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.lines.add("INFO Kafka version: 4.3.1 (org.apache.kafka.common.utils.AppInfoParser)")
	wantOpen(t, "started", b.started)
	b.lines.add("INFO [KafkaRaftServer nodeId=1] Kafka Server started (kafka.server.KafkaRaftServer)")
	b.lines.add("INFO [KafkaRaftServer nodeId=1] Kafka Server started (kafka.server.KafkaRaftServer)")
	wantClosed(t, "started", b.started, time.Second)
	if got, want := b.versionText(), "4.3.1"; got != want {
		t.Errorf("got version %q; want %q", got, want)
	}
}

func TestFreePort(t *testing.T) {
	t.Parallel()
	for range 20 {
		port, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		if port < lowestPort || port >= ephemeralFrom {
			t.Errorf("got port %d; want %d to %d", port, lowestPort, ephemeralFrom-1)
		}
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
}

func TestSegmentBytes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		retention int64
		embedded  bool
		want      int64
	}{
		{64 << 20, true, 1 << 20},
		{4096, true, 4096},
		{4096, false, 1 << 20},
		{64 << 20, false, 8 << 20},
		{64 << 30, false, 128 << 20},
	}
	for _, tt := range tests {
		if got := segmentBytes(tt.retention, tt.embedded); got != tt.want {
			t.Errorf("%+v: got %d; want %d", tt, got, tt.want)
		}
	}
}

// TestBrokerOnANetwork: a single node that a target in a container is to reach has an alias, too.
func TestBrokerOnANetwork(t *testing.T) {
	t.Parallel()
	env := (&broker{id: 1, of: 1, port: 20001, netName: "n"}).env()
	if got, want := env["KAFKA_ADVERTISED_LISTENERS"], "HOST://127.0.0.1:20001,INTERNAL://kafka-1:9094"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

package gateway

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/internal/settings"
)

// documentedDefaults are those of a section's keys in the description of the gateway's file; "" is the beginning.
func documentedDefaults(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/GATEWAY.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := make(map[string]map[string]string)
	section := ""
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			section = strings.Trim(title, "`")
		}
		cells := strings.Split(line, " | ")
		if len(cells) != 5 || !strings.HasPrefix(line, "| `") {
			continue
		}
		if defaults[section] == nil {
			defaults[section] = make(map[string]string)
		}
		defaults[section][strings.Trim(cells[0], "| `")] = strings.Trim(cells[3], "*`")
	}
	return defaults
}

// writtenSize is a size or a limit as the description writes it.
func writtenSize(n int64, unit string) string {
	switch {
	case n == unlimited:
		return "unlimited"
	case unit != "B":
		return fmt.Sprint(n, unit)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprint(n>>20, "MiB")
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprint(n>>10, "KiB")
	}
	return fmt.Sprint(n, "B")
}

func writtenDuration(d time.Duration) string {
	s := d.String()
	if d >= time.Minute {
		s = strings.TrimSuffix(s, "0s")
	}
	return s
}

// The defaults that the description of the gateway's file gives are those that a gateway takes. A key that is new has to
// be told here what it is.
func TestDocumentedDefaults(t *testing.T) {
	cfg := Config{}
	cfg.Batch = []settings.Batch{{Topic: "prices"}}
	cfg = cfg.WithDefaults()
	applied := map[string]map[string]string{
		"The file": {
			"queue":        writtenSize(int64(cfg.QueueBytes), "B"),
			"slow_clients": string(cfg.SlowPolicy),
			"compression":  fmt.Sprint(cfg.Compression),
		},
		"resume": {
			"enabled":         fmt.Sprint(!cfg.Resume.Off),
			"memory":          writtenSize(cfg.Resume.MemoryBytes, "B"),
			"replays":         fmt.Sprint(cfg.Resume.Replays),
			"positions_every": writtenDuration(cfg.Resume.PositionsEvery),
		},
		"consume": {"protocol": cfg.Consume.Protocol, "routed": fmt.Sprint(cfg.Consume.Routed)},
		"batch.NAME": {
			"interval": "required",
			"size":     writtenSize(int64(cfg.Batch[0].Bytes), "B"),
		},
		"publish": {
			"max_in_flight": fmt.Sprint(cfg.Publish.MaxInFlight),
			"buffer":        writtenSize(int64(cfg.Publish.BufferBytes), "B"),
			"linger":        writtenDuration(cfg.Publish.Linger),
			"deduplicate":   writtenDuration(cfg.Publish.Dedup),
		},
		"limits": {
			"connections":            writtenSize(int64(cfg.Limits.Connections), ""),
			"connections_per_source": writtenSize(int64(cfg.Limits.ConnectionsPerSource), ""),
			"channels_per_client":    fmt.Sprint(cfg.Limits.ChannelsPerClient),
			"patterns_per_client":    fmt.Sprint(cfg.Limits.PatternsPerClient),
			"message":                writtenSize(int64(cfg.Limits.MessageBytes), "B"),
			"frames":                 writtenSize(int64(cfg.Limits.FramesPerSecond), "/s"),
			"subscribes":             writtenSize(int64(cfg.Limits.SubscribesPerSecond), "/s"),
			"queue_total":            writtenSize(cfg.Limits.QueueBytesTotal, "B"),
		},
		"timeouts": {
			"handshake":    writtenDuration(cfg.Timeouts.Handshake),
			"write":        writtenDuration(cfg.Timeouts.Write),
			"ping":         writtenDuration(cfg.Timeouts.Ping),
			"close":        writtenDuration(cfg.Timeouts.Close),
			"drain":        writtenDuration(cfg.Timeouts.Drain),
			"drain_spread": writtenDuration(cfg.Timeouts.DrainSpread),
		},
		"origins": {"allow": "none", "without": "allow"},
	}
	// Of these the description gives a word for nothing, or weir a default of its own.
	elsewhere := map[string][]string{
		"The file": {"listen", "instance_id", "brokers", "kafka", "topics", "conflate", "resume", "consume", "batch", "publish", "limits",
			"timeouts", "origins", "tls", "tokens", "permissions", "trace", "pprof"},
		"consume": {"group", "member"},
		"publish": {"topics", "keys"},
	}
	documented := documentedDefaults(t)
	for section, want := range applied {
		for _, key := range elsewhere[section] {
			delete(documented[section], key)
		}
		for key, value := range want {
			if got, ok := documented[section][key]; !ok || got != value {
				t.Errorf("%s: %s: the description says %q; the gateway takes %s", section, key, got, value)
			}
			delete(documented[section], key)
		}
		for key, value := range documented[section] {
			t.Errorf("%s: %s, %s by default, is not compared with what the gateway takes", section, key, value)
		}
	}
}

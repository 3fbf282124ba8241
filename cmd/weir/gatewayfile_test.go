package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/gateway"
	"github.com/weirbench/weir/internal/kafkasec"
	"github.com/weirbench/weir/internal/settings"
	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
)

const gatewayYAML = `
listen: 127.0.0.1:7000
instance_id: from-file
brokers: [127.0.0.1:1]
topics: [prices, quotes]
conflate: {quotes: 250ms}
queue: 2MiB
slow_clients: drop-oldest
publish: {topics: [prices], linger: 5ms, max_in_flight: 7}
timeouts: {drain: 3s, ping: 4s}
origins: {allow: ["https://a"], without: refuse}
kafka: {tls: {server_name: file.example.org}, sasl: {mechanism: PLAIN, username: filed, password: {env: WEIR_TEST_FILE_PASSWORD}}}
`

// gatewayConfig is what weir gateway is told by a file and flags.
func gatewayConfig(t *testing.T, text string, args ...string) (gateway.Config, kafkasec.Settings, error) {
	t.Helper()
	if text != "" {
		file := filepath.Join(t.TempDir(), "gateway.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", file}, args...)
	}
	var f gatewayFlags
	cmd := &cobra.Command{Use: "gateway"}
	f.define(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return f.config(cmd)
}

func TestGatewayFileIsTakenOver(t *testing.T) {
	t.Setenv("WEIR_TEST_FILE_PASSWORD", "a")
	got, secured, err := gatewayConfig(t, gatewayYAML)
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Config{
		Gateway: settings.Gateway{
			Publish:  settings.Publish{MaxInFlight: 7, Linger: 5 * time.Millisecond},
			Timeouts: settings.Timeouts{Drain: 3 * time.Second, Ping: 4 * time.Second},
			Origins:  settings.Origins{Allow: []string{"https://a"}, RefuseNone: true},
		},
		Listen: "127.0.0.1:7000", InstanceID: "from-file", Brokers: []string{"127.0.0.1:1"}, Topics: []string{"prices", "quotes"},
		Conflate: []gateway.Conflation{{Topic: "quotes", Interval: 250 * time.Millisecond}}, PublishTopics: []string{"prices"},
		QueueBytes: 2 << 20, SlowPolicy: gateway.SlowDropOldest,
	}
	if got.KafkaOpts == nil {
		t.Error("got no options of the Kafka client; want TLS and SASL")
	}
	got.KafkaOpts = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if secured.TLS.ServerName != "file.example.org" || secured.SASL.Username != "filed" {
		t.Errorf("got %+v; want the file's security", secured)
	}
}

// TestGatewayFlagsWinOverTheFile: each flag that the file has a key for, in its place.
func TestGatewayFlagsWinOverTheFile(t *testing.T) {
	t.Setenv("WEIR_TEST_FILE_PASSWORD", "a")
	t.Setenv("WEIR_TEST_FLAG_PASSWORD", "b")
	got, secured, err := gatewayConfig(t, gatewayYAML, "--listen=127.0.0.1:1", "--instance-id=flag", "--brokers=127.0.0.1:2,127.0.0.1:3", "--topics=news",
		"--conflate=news=1s", "--publish=chat", "--max-in-flight=9", "--publish-linger=1ms", "--allow-origin=https://b", "--queue-bytes=4096",
		"--slow-clients=disconnect", "--drain-timeout=1s", "--set=timeouts.ping=9s", "--kafka-sasl-mechanism=SCRAM-SHA-256", "--kafka-sasl-username=flagged",
		"--kafka-sasl-password-env=WEIR_TEST_FLAG_PASSWORD")
	if err != nil {
		t.Fatal(err)
	}
	want := gateway.Config{
		Gateway: settings.Gateway{
			Publish:  settings.Publish{MaxInFlight: 9, Linger: time.Millisecond},
			Timeouts: settings.Timeouts{Drain: time.Second, Ping: 9 * time.Second},
			Origins:  settings.Origins{Allow: []string{"https://b"}, RefuseNone: true},
		},
		Listen: "127.0.0.1:1", InstanceID: "flag", Brokers: []string{"127.0.0.1:2", "127.0.0.1:3"}, Topics: []string{"news"},
		Conflate: []gateway.Conflation{{Topic: "news", Interval: time.Second}}, PublishTopics: []string{"chat"},
		QueueBytes: 4096, SlowPolicy: gateway.SlowDisconnect,
	}
	got.KafkaOpts = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if secured.TLS.ServerName != "file.example.org" || secured.SASL.Username != "flagged" || secured.SASL.Mechanism != "SCRAM-SHA-256" {
		t.Errorf("got %+v; want the file's TLS and the flags' SASL", secured)
	}
}

func TestGatewayListensWhereItDid(t *testing.T) {
	for _, text := range []string{"", "brokers: [a:1]\n"} {
		if got, _, err := gatewayConfig(t, text, "--brokers=a:1", "--topics=x"); err != nil || got.Listen != "127.0.0.1:8080" {
			t.Errorf("%q: got %s, %v; want 127.0.0.1:8080", text, got.Listen, err)
		}
	}
}

// TestMistakesInTheGatewayFile: each with its line and a mark under the column, and exit code 2.
func TestMistakesInTheGatewayFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("gateway.yaml", []byte("brokers: [127.0.0.1:1]\ntopics: [prices]\nlimits:\n  conections: 5\n  frames: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const want = `weir: gateway.yaml:4:3: limits: unknown key "conections" (did you mean connections?)
     4 | conections: 5
       | ^
gateway.yaml:5:11: limits.frames: "5" is not a rate (write 5/s)
     5 | frames: 5
       |         ^
--set queue=x: queue: "x" is not a size (write 256B)
`
	var stdout, stderr bytes.Buffer
	code := execute([]string{"gateway", "--config", "gateway.yaml", "--set", "queue=x"}, nil, &stdout, &stderr)
	if code != report.ExitUsage || stdout.String() != "" || stderr.String() != want {
		t.Errorf("got exit %d, %q and\n%s\nwant exit 2 and\n%s", code, stdout.String(), stderr.String(), want)
	}
}

// TestGatewayServesFromAFile starts a gateway by a file alone.
func TestGatewayServesFromAFile(t *testing.T) {
	t.Parallel()
	kafka := testkit.Kafka(t, 1, "prices")
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	text := "listen: 127.0.0.1:0\nbrokers: [" + kafka.ListenAddrs()[0] + "]\ntopics: [prices]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	w := startWeir(t, "gateway", "--config", file)
	testkit.Eventually(t, "the gateway is ready", func() bool {
		return strings.Contains(w.stderr.String(), "ready at ws://127.0.0.1:")
	})
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if got := w.wait(); got != report.ExitPassed {
		t.Errorf("exit code: got %d; want %d", got, report.ExitPassed)
	}
}

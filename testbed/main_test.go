package testbed

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirbench/weir/scenarios"
)

// TestMain is the weir binary's stand-in: started with a hidden command, the test binary is that child.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && !strings.HasPrefix(os.Args[1], "-") {
		err := fmt.Errorf("unknown command %q", os.Args[1:])
		switch strings.Join(os.Args[1:3], " ") {
		case "child kafka":
			err = kafkaMain(os.Args[3:])
		case "child reaper":
			err = ServeReaper(context.Background(), os.Stdin)
		case "gateway --child":
			err = gatewayMain(os.Args[2:])
		case "test parent":
			err = parentMain(os.Args[3:])
		case "child guard":
			err = ServeGuard(context.Background(), os.Stdin)
		case "test target":
			err = targetMain(os.Args[3])
		case "test sleeper":
			_, err = io.Copy(io.Discard, os.Stdin)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	_ = os.Setenv("GORACE", "atexit_sleep_ms=0") // else each child of a race-enabled binary takes a second to end
	goleak.VerifyTestMain(m)
}

func kafkaMain(args []string) error {
	var cfg KafkaChild
	f := flag.NewFlagSet("kafka", flag.ContinueOnError)
	f.IntVar(&cfg.Brokers, "brokers", 0, "")
	f.StringVar(&cfg.RunID, "run-id", "", "")
	if err := f.Parse(args); err != nil {
		return err
	}
	if os.Getenv(kafkaMode) == "fail" {
		return fmt.Errorf("no room for %d brokers", cfg.Brokers)
	}
	return ServeKafka(context.Background(), cfg, os.Stdin, os.Stdout)
}

// How the children misbehave, by environment variable.
const (
	kafkaMode   = "WEIR_TEST_KAFKA"
	gatewayMode = "WEIR_TEST_GATEWAY"
	parentDir   = "WEIR_TEST_PARENT_DIR" // a test parent's run directory
)

// gatewayMain is a gateway as far as StartTarget sees it: a ready line, /readyz, and an end with standard input.
func gatewayMain(args []string) error {
	f := flag.NewFlagSet("gateway", flag.ContinueOnError)
	path, child := f.String("config", "", ""), f.Bool("child", false, "")
	if err := f.Parse(args); err != nil {
		return err
	}
	file, err := scenarios.LoadGatewayFile(*path, scenarios.Options{})
	if err != nil {
		return err
	}
	mode := os.Getenv(gatewayMode)
	fmt.Fprintf(os.Stderr, "brokers=%s topics=%s queue=%d slow=%s publish=%s conflate=%v child=%v mode=%s\n", strings.Join(file.Brokers, ","),
		strings.Join(file.Topics, ","), file.QueueBytes, file.SlowPolicy, strings.Join(file.PublishTopics, ","), file.Conflate, *child, mode)
	instance := file.InstanceID
	ctx, cancel := ChildContext(context.Background(), os.Stdin)
	defer cancel()
	switch mode {
	case "crash":
		return fmt.Errorf("listen at %s: no such luck", file.Listen)
	case "garbage":
		fmt.Println("hello")
	case "hang":
		<-ctx.Done()
		return nil
	case "stranger":
		instance = "somebody-else"
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		ctx = context.Background()
	case "family":
		if err := exec.Command("/proc/self/exe", "test", "sleeper").Start(); err != nil {
			return err
		}
	}
	return serveGateway(ctx, file.Listen, instance, mode)
}

func serveGateway(ctx context.Context, listen, instance, mode string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var asked atomic.Int32
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if mode == "never" || (mode == "slow" && asked.Add(1) < 4) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, `{"instance":%q,"reason":"no partitions yet"}`, instance)
			return
		}
		fmt.Fprintf(w, `{"instance":%q}`, instance)
	})
	srv := &http.Server{Handler: mux}
	go srv.Serve(l)
	fmt.Printf(`{"ready":true,"addr":%q}`+"\n", l.Addr())
	<-ctx.Done()
	if mode == "fails" {
		return errors.New("commit offsets: broker gone")
	}
	return srv.Close()
}

// parentReport is what a test parent says once its Kafka is up.
type parentReport struct {
	Pids  []int    `json:"pids"`
	Seeds []string `json:"seeds"`
}

// parentMain is a weir that starts Kafka, or a target, and then waits to be killed.
func parentMain(args []string) error {
	if kind := scenarios.TargetKind(args[0]); kind == scenarios.TargetCommand || kind == scenarios.TargetContainer {
		return targetParentMain(kind, args[1])
	}
	ctx, cancel := ChildContext(context.Background(), os.Stdin) // ends with the tests, too
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	plan := scenarios.KafkaPlan{Provider: scenarios.KafkaProvider(args[0]), Brokers: 1, Image: testImage()}
	k, err := StartKafka(ctx, plan, Options{Executable: exe, RunID: args[1]})
	if err != nil {
		return err
	}
	line, err := json.Marshal(parentReport{Pids: k.Pids(), Seeds: k.Seeds})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	<-ctx.Done()
	return k.Stop(context.Background())
}

// startParent starts a test parent and returns it and what it says. It is killed at the test's end at the latest.
func startParent(t *testing.T, provider scenarios.KafkaProvider, runID string) (*exec.Cmd, parentReport) {
	t.Helper()
	cmd := exec.Command(executable(t), "test", "parent", string(provider), runID)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("parent said nothing: %v", err)
	}
	var r parentReport
	if err := json.Unmarshal(line, &r); err != nil {
		t.Fatalf("parent said %q: %v", line, err)
	}
	return cmd, r
}

func executable(t *testing.T) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

func options(t *testing.T) Options {
	t.Helper()
	return Options{Executable: executable(t), RunID: fmt.Sprintf("t%d", time.Now().UnixNano()%1e9), Dir: t.TempDir()}
}

// startTestKafka starts an embedded Kafka for the test.
func startTestKafka(t *testing.T, brokers int) *Kafka {
	t.Helper()
	plan := scenarios.KafkaPlan{Provider: scenarios.ProviderEmbedded, Brokers: brokers}
	k, err := StartKafka(t.Context(), plan, options(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return k
}

// wantText fails unless the error's text has all the parts.
func wantText(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error; want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got error %q; want %q in it", err, p)
		}
	}
}

// wantClosed fails unless the channel is closed within the time.
func wantClosed(t *testing.T, what string, c <-chan struct{}, within time.Duration) {
	t.Helper()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-c:
	case <-timer.C:
		t.Fatalf("%s: not within %v", what, within)
	}
}

// wantOpen fails if the channel is closed.
func wantOpen(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
		t.Fatalf("%s is closed", what)
	default:
	}
}

func testImage() string {
	if image := os.Getenv("WEIR_KAFKA_IMAGE"); image != "" {
		return image
	}
	return DefaultImage
}

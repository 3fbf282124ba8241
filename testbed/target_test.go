package testbed

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/scenarios"
)

func TestReferenceTarget(t *testing.T) {
	t.Parallel()
	o := options(t)
	plan := scenarios.GatewayPlan{
		Target: scenarios.TargetReference, QueueBytes: 4096, SlowPolicy: "drop-oldest", ReadyIn: 10 * time.Second,
		Conflate: []scenarios.Conflation{{Topic: "a", Interval: 1500 * time.Millisecond}},
	}
	o.Publish = []string{"b", "c"}
	target, err := StartTarget(t.Context(), plan, []string{"127.0.0.1:1", "127.0.0.1:2"}, []string{"a", "b"}, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(target.URL, "ws://127.0.0.1:") || !strings.HasSuffix(target.URL, "/ws") {
		t.Errorf("got URL %s; want ws://127.0.0.1:PORT/ws", target.URL)
	}
	if got, want := len(target.Processes()), 1; got != want {
		t.Errorf("got %d processes; want %d", got, want)
	}
	wantOpen(t, "Done", target.Done())
	if err := target.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantOpen(t, "Done", target.Done())
	got, err := os.ReadFile(filepath.Join(o.Dir, "gateway.log"))
	if err != nil {
		t.Fatal(err)
	}
	want := "brokers=127.0.0.1:1,127.0.0.1:2 topics=a,b queue=4096 slow=drop-oldest publish=b,c conflate=[{a 1.5s}] child=true mode=\n"
	if string(got) != want {
		t.Errorf("got log %q; want %q", got, want)
	}
}

func TestReferenceTargetTrouble(t *testing.T) {
	tests := []struct {
		mode string
		want []string // parts of the error; none for success
	}{
		{"slow", nil}, // 503 at first
		{"crash", []string{"start gateway", "ended before it was ready", "exit status 1", "no such luck"}},
		{"garbage", []string{"start gateway", "no ready line", `"hello"`}},
		{"hang", []string{"start gateway", "not ready within", "mode=hang"}},
		{"never", []string{"start gateway", "isn't ready in time", "503", "no partitions yet"}},
		{"stranger", []string{"start gateway", "a stranger answers at http://127.0.0.1:", "somebody-else"}},
	}
	for _, tt := range tests {
		t.Run(tt.mode, func(t *testing.T) {
			t.Setenv(gatewayMode, tt.mode)
			plan := scenarios.GatewayPlan{ReadyIn: time.Minute}
			if tt.mode == "hang" || tt.mode == "never" {
				plan.ReadyIn = 5 * time.Second // time for the child to start and to say what the error quotes
			}
			target, err := startTestGateway(t, plan)
			if tt.want != nil {
				wantText(t, err, tt.want...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := target.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReferenceTargetStrangeServer: what answers may be no gateway at all.
func TestReferenceTargetStrangeServer(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	err := askReadyz(t.Context(), client, stranger.URL, "ours")
	wantText(t, err, "a stranger answers at "+stranger.URL, "ours", "404")
}

func TestReferenceTargetPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, err = startTestGateway(t, scenarios.GatewayPlan{Listen: addr})
	wantText(t, err, "start gateway", addr+" is taken by process "+strconv.Itoa(os.Getpid()), "127.0.0.1:0")
	_, err = startTestGateway(t, scenarios.GatewayPlan{Listen: "8080"})
	wantText(t, err, "gateway.listen", "host:port")
}

func TestReferenceTargetFixedPort(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	target, err := startTestGateway(t, scenarios.GatewayPlan{Listen: addr})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := target.URL, "ws://"+addr+"/ws"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReferenceTargetKilled(t *testing.T) {
	t.Parallel()
	target, err := startTestGateway(t, scenarios.GatewayPlan{})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(target.Processes()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, "Done after the gateway was killed", target.Done(), 5*time.Second)
	wantText(t, target.Err(), "gateway", "ended unasked", "signal: killed", "brokers=127.0.0.1:1")
	if err := target.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReferenceTargetFailsToStop(t *testing.T) {
	t.Setenv(gatewayMode, "fails")
	target, err := startTestGateway(t, scenarios.GatewayPlan{})
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, target.Stop(t.Context()), "stop gateway", "exit status 1", "commit offsets: broker gone")
}

func TestDialable(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80",
		"0.0.0.0:80":   "127.0.0.1:80",
		"[::]:80":      "127.0.0.1:80",
		":80":          "127.0.0.1:80",
		"[::1]:80":     "[::1]:80",
		"localhost:80": "localhost:80",
		"nonsense":     "nonsense",
	} {
		if got := dialable(addr); got != want {
			t.Errorf("%s: got %s; want %s", addr, got, want)
		}
	}
}

// webSocket serves handshakes, after as many answers of 503.
func webSocket(t *testing.T, unready int32) string {
	t.Helper()
	var asked atomic.Int32
	upgrader := websocket.Upgrader{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) <= unready {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if c, err := upgrader.Upgrade(w, r, nil); err == nil {
			_, _, _ = c.ReadMessage() // the close
			c.Close()
		}
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws"
}

func status(code int) func(t *testing.T) string {
	return func(t *testing.T) string {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }))
		t.Cleanup(srv.Close)
		return "ws" + strings.TrimPrefix(srv.URL, "http") + "/socket"
	}
}

// unavailable is not up, and ends the context once it is asked again: by then its first answer has been read.
func unavailable(t *testing.T, end context.CancelFunc) string {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) > 1 {
			end()
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http") + "/socket"
}

// says serves connections that answer anything with a fixed text and close.
func says(text string) func(t *testing.T) string {
	return func(t *testing.T) string {
		return "ws://" + listen(t, func(c net.Conn) {
			_, _ = http.ReadRequest(bufio.NewReader(c)) // unread input would reset the connection
			fmt.Fprint(c, text)
			c.Close()
		})
	}
}

// TestTargetThatWantsMore: where the clients' handshakes carry what the probe's does not, a refusal shows that the target
// is there; an answer that says that it is not, or is another thing, still does not.
func TestTargetThatWantsMore(t *testing.T) {
	t.Parallel()
	for _, profile := range []scenarios.WireProfile{
		{Headers: []scenarios.HandshakeHeader{{Name: "Authorization"}}}, {Path: "/ws"}, {Query: []scenarios.Pair{{Name: "a"}}}, {Subprotocol: "s"},
	} {
		for code, want := range map[int]string{401: "", 404: "", 200: "HTTP 200", 503: "HTTP 503"} {
			ctx, end := context.WithCancel(t.Context())
			url := status(code)(t)
			if code == 503 {
				url = unavailable(t, end)
			}
			plan := scenarios.GatewayPlan{Target: scenarios.TargetExternal, URL: url, Profile: profile, ReadyIn: time.Minute}
			_, err := StartTarget(ctx, plan, nil, nil, Options{})
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("status %d, profile %+v: got %v; want an error with %q", code, profile, err, want)
			}
			end()
		}
	}
}

func TestExternalTarget(t *testing.T) {
	t.Parallel()
	fixed := func(url string) func(*testing.T) string { return func(*testing.T) string { return url } }
	tests := []struct {
		name string
		url  func(t *testing.T) string
		want []string // parts of the error; none for success
	}{
		{"up", func(t *testing.T) string { return webSocket(t, 0) }, nil},
		{"coming up", func(t *testing.T) string { return webSocket(t, 3) }, nil},
		{"refused", func(t *testing.T) string { return "ws://" + closedPort(t) + "/ws" }, []string{"not ready within", "refused", "nothing listens"}},
		{"not found", status(404), []string{"HTTP 404", "is /socket the WebSocket endpoint?"}},
		{"plain page", status(200), []string{"HTTP 200"}},
		{"forbidden", status(403), []string{"HTTP 403", "Origin"}},
		{"unavailable", status(503), []string{"not ready within", "HTTP 503"}},
		{"garbage", says("-ERR unknown command\r\n"), []string{"speaks no HTTP"}},
		{"no answer text", says(""), []string{"closes the connection"}},
		{"other upgrade", says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), []string{"not to WebSocket"}},
		{"wrong accept", says("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"), []string{"not to WebSocket"}},
		{"silent", func(t *testing.T) string {
			return "ws://" + listen(t, func(c net.Conn) { t.Cleanup(func() { c.Close() }) })
		}, []string{"no answer to the WebSocket handshake"}},
		{"elsewhere", fixed("ws://192.0.2.1/ws"), []string{"192.0.2.1 is not a loopback address"}},
		{"http", fixed("http://127.0.0.1/ws"), []string{"no WebSocket URL"}},
		{"nothing", fixed(""), []string{"no WebSocket URL"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := tt.url(t)
			plan := scenarios.GatewayPlan{Target: scenarios.TargetExternal, URL: url, ReadyIn: 5 * time.Second} // for an attempt and its answer
			if tt.want == nil {
				plan.ReadyIn = time.Minute
			}
			target, err := StartTarget(t.Context(), plan, nil, nil, Options{})
			if tt.want != nil {
				wantText(t, err, append(tt.want, "use target "+url)...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if target.URL != url || target.Description != "external "+url || len(target.Processes()) != 0 {
				t.Errorf("got %+v; want %s, without processes", target, url)
			}
			wantOpen(t, "Done", target.Done())
			if err := target.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStartTargetUnknown(t *testing.T) {
	t.Parallel()
	_, err := StartTarget(t.Context(), scenarios.GatewayPlan{Target: "nginx"}, nil, nil, Options{})
	wantText(t, err, `"nginx"`, "container or external")
}

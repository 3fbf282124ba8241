package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirbench/weir/internal/settings"
	"github.com/weirbench/weir/scenarios"
)

// pollTarget listens and does with each connection what serve says, which gets the answer to the handshake's key.
func pollTarget(t *testing.T, serve func(c net.Conn, r *bufio.Reader, accept string)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			request, err := http.ReadRequest(r)
			if err != nil {
				_ = c.Close()
				continue
			}
			sum := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + acceptSuffix))
			serve(c, r, base64.StdEncoding.EncodeToString(sum[:]))
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-ended })
	return "ws://" + listener.Addr().String() + "/"
}

// switching is the answer that upgrades.
func switching(accept string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: " + accept + "\r\n\r\n"
}

// polledSwarm is a swarm of one client, whose poller runs until life ends. Nothing connects it yet.
func polledSwarm(t *testing.T, url string, profile scenarios.WireProfile, reconnect bool) (s *swarm, gate chan struct{}, end func()) {
	t.Helper()
	return polledSwarmIn(t, false, url, profile, reconnect)
}

// polledSwarmIn is that of which the test itself calls the poller, if it shares the process's table.
func polledSwarmIn(t *testing.T, shares bool, url string, profile scenarios.WireProfile, reconnect bool) (s *swarm, gate chan struct{}, end func()) {
	t.Helper()
	plan := enginePlan(url, nil)
	plan.Clients[0].Count, plan.Clients[0].Reconnect, plan.Gateway.Profile = 1, reconnect, profile
	s = profiledSwarm(t, plan)
	s.sharesTable = shares
	gate = make(chan struct{}, 1)
	life, cancel := context.WithCancel(t.Context())
	if err := s.startPollers(life, gate); err != nil {
		t.Fatal(err)
	}
	end = func() { cancel(); s.wg.Wait() }
	t.Cleanup(end)
	s.stay(life, s.clients[0], gate, true)
	return s, gate, end
}

// awaitLocked waits until ok, which is looked at with the client's worker locked.
func awaitLocked(t *testing.T, s *swarm, what string, ok func() bool) {
	t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	deadline := time.After(30 * time.Second)
	for {
		s.workers[0].mu.Lock()
		done := ok()
		s.workers[0].mu.Unlock()
		if done {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func counter(w *worker, which int) (n int64) {
	for at := which; at < len(w.meter.counts); at += len(clientCounters) {
		n += w.meter.counts[at]
	}
	return n
}

// TestPolledDialInPieces: the answer comes byte by byte, and the first message right behind it.
func TestPolledDialInPieces(t *testing.T) {
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		answer := append([]byte(switching(accept)), serverFrame(opText, true, []byte("early"))...)
		for _, b := range answer {
			_, _ = c.Write([]byte{b})
		}
		go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
	})
	s, gate, end := polledSwarm(t, url, scenarios.BareProfile(), false)
	w := s.workers[0]
	awaitLocked(t, s, "the early message is taken", func() bool { return w.foreigns == 1 })
	if got := s.linked.Load(); got != 1 || len(gate) != 0 || counter(w, countConnected) != 1 || counter(w, countConnectFail) != 0 {
		t.Errorf("got %d linked, %d dials under way, %d connected; want one that is connected", got, len(gate), counter(w, countConnected))
	}
	end()
	if got := s.linked.Load(); got != 0 {
		t.Errorf("got %d linked; want none at the end", got)
	}
}

// TestPolledGoodbye: what a poller holds at the end is closed in order, with code 1000.
func TestPolledGoodbye(t *testing.T) {
	last := make(chan []byte, 1)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() {
			all, _ := io.ReadAll(r)
			last <- all
			_ = c.Close()
		}()
	})
	s, _, end := polledSwarm(t, url, scenarios.BareProfile(), true)
	awaitLocked(t, s, "it is connected", func() bool { return s.linked.Load() == 1 })
	end()
	if got := <-last; !bytes.HasSuffix(got, closeFrame) {
		t.Errorf("got %q at the end; want a close frame", got)
	}
}

// TestPolledLargeSubscription: the target reads nothing until the socket is full of what the client says first.
func TestPolledLargeSubscription(t *testing.T) {
	profile := scenarios.BareProfile()
	profile.Greet = []string{strings.Repeat("x", 8<<20)}
	began, got := make(chan struct{}), make(chan int, 1)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() {
			<-began
			n, _ := io.CopyN(io.Discard, r, 8<<20+14)
			got <- int(n)
			_, _ = io.Copy(io.Discard, r)
			_ = c.Close()
		}()
	})
	s, _, _ := polledSwarmIn(t, true, url, profile, false)
	p := s.workers[0].poller
	awaitLocked(t, s, "the socket is full", func() bool {
		if len(p.entries) == 0 {
			return false
		}
		d := p.entries[0].dial
		return d != nil && d.begun && len(d.greeting) > 0
	})
	p.expire(time.Now().Add(time.Hour)) // the dial is over, and the target may take its time
	close(began)
	if n := <-got; n != 8<<20+14 {
		t.Errorf("the target got %d bytes; want all", n)
	}
	awaitLocked(t, s, "the session is open", func() bool { return p.entries[0].dial == nil && p.entries[0].client != nil })
}

// TestPolledSessionEnds: a target that ends the connection, by a close frame or without a word, has thrown the client out;
// the client comes back if its group does.
func TestPolledSessionEnds(t *testing.T) {
	for name, last := range map[string][]byte{"close frame": serverFrame(opClose, true, []byte{0x03, 0xe9, 'b', 'y', 'e'}), "end": nil} {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int32
			url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
				_, _ = io.WriteString(c, switching(accept))
				if dials.Add(1) < 3 {
					_, _ = c.Write(last)
					_ = c.(*net.TCPConn).CloseWrite()
				}
				go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
			})
			s, _, end := polledSwarm(t, url, scenarios.BareProfile(), true)
			w := s.workers[0]
			awaitLocked(t, s, "it is back for good", func() bool { return counter(w, countConnected) == 3 && s.linked.Load() == 1 })
			if got := counter(w, countThrownOut); got != 2 {
				t.Errorf("thrown out: got %d; want 2", got)
			}
			want := "client thrown out: the target closed the connection"
			for text := range w.closings.all {
				if !strings.HasPrefix(text, want) {
					t.Errorf("got %q; want %q", text, want)
				}
			}
			end()
		})
	}
}

// TestPolledEndBehindMessages: an end right behind messages is seen whatever was told of both, and no message is missed.
func TestPolledEndBehindMessages(t *testing.T) {
	const sessions = 50
	frame := serverFrame(opText, true, bytes.Repeat([]byte("x"), 1000))
	var dials atomic.Int32
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		if dials.Add(1) <= sessions {
			_, _ = c.Write(frame)
			_ = c.(*net.TCPConn).CloseWrite()
		}
		go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
	})
	s, _, end := polledSwarm(t, url, scenarios.BareProfile(), true)
	w := s.workers[0]
	awaitLocked(t, s, "it is back for good", func() bool { return counter(w, countConnected) == sessions+1 && s.linked.Load() == 1 })
	if got := counter(w, countThrownOut); got != sessions || w.foreigns != sessions {
		t.Errorf("got %d sessions that ended and %d messages; want %d of each", got, w.foreigns, sessions)
	}
	end()
}

// TestPolledBacklog: what takes more reads than a connection gets at once comes whole, though nothing follows it.
func TestPolledBacklog(t *testing.T) {
	const frames = 3000
	frame := serverFrame(opText, true, bytes.Repeat([]byte("x"), 4000))
	written := make(chan error, 1)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() {
			_, err := c.Write(bytes.Repeat(frame, frames))
			written <- err
			_, _ = io.Copy(io.Discard, r)
			_ = c.Close()
		}()
	})
	s, _, end := polledSwarm(t, url, scenarios.BareProfile(), false)
	w := s.workers[0]
	awaitLocked(t, s, "it is connected", func() bool { return s.linked.Load() == 1 })
	w.mu.Lock() // the poller waits, and all that the sockets hold gathers
	gathered := time.After(50 * time.Millisecond)
	<-gathered
	w.mu.Unlock()
	awaitLocked(t, s, "all has come", func() bool { return w.foreigns == frames })
	if err := <-written; err != nil {
		t.Error(err)
	}
	end()
}

// TestPolledDialFails: each with the words that another reader has for it, and tried again.
func TestPolledDialFails(t *testing.T) {
	wrong := strings.Repeat("A", 27) + "="
	for name, c := range map[string]struct {
		answer func(accept string) string
		want   string
	}{
		"status":       {func(string) string { return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" }, "it answered HTTP 503 instead of upgrading"},
		"wrong accept": {func(string) string { return switching(wrong) }, "it answered HTTP 101 instead of upgrading"},
		"extension": {func(accept string) string {
			return strings.Replace(switching(accept), "\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 1)
		}, `the extension "permessage-deflate", and none was offered`},
		"no HTTP":     {func(string) string { return "220 mail\r\nmore" }, "malformed HTTP"},
		"one line":    {func(string) string { return strings.Repeat("x", 2*longLine) }, `malformed HTTP response "` + strings.Repeat("x", longLine) + `"`},
		"cut":         {func(string) string { return "HTTP/1.1 101" }, "unexpected EOF"},
		"nothing":     {func(string) string { return "" }, "unexpected EOF"},
		"endless":     {func(string) string { return "HTTP/1.1 101 x\r\nA: " + strings.Repeat("x", maxAnswer) }, errLongAnswer.Error()},
		"bad version": {func(string) string { return "HTTP/1.x\r\n\r\n" }, "malformed HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pollTarget(t, func(conn net.Conn, _ *bufio.Reader, accept string) {
				_, _ = io.WriteString(conn, c.answer(accept))
				_ = conn.Close()
			})
			s, gate, end := polledSwarm(t, url, scenarios.BareProfile(), false)
			awaitLocked(t, s, "two dials have failed", func() bool { return counter(s.workers[0], countConnectFail) >= 2 })
			end()
			if why := s.dialCauses(); !strings.Contains(why, "connect to "+url+": ") || !strings.Contains(why, c.want) || len(gate) != 0 || s.linked.Load() != 0 {
				t.Errorf("got %q, %d dials under way, %d linked; want %q", why, len(gate), s.linked.Load(), c.want)
			}
		})
	}
}

// TestPolledDialExpires: a target that says nothing fails the dial in the end.
func TestPolledDialExpires(t *testing.T) {
	served := make(chan net.Conn, 1)
	url := pollTarget(t, func(c net.Conn, _ *bufio.Reader, _ string) { served <- c })
	s, gate, end := polledSwarmIn(t, true, url, scenarios.BareProfile(), false)
	c := <-served
	defer c.Close()
	awaitLocked(t, s, "the dial is watched", func() bool { return len(s.workers[0].poller.overdue) == 1 })
	s.workers[0].poller.expire(time.Now().Add(handshakeTimeout - time.Second))
	if len(gate) != 1 {
		t.Fatal("the dial ended before its time")
	}
	s.workers[0].poller.expire(time.Now().Add(handshakeTimeout))
	awaitLocked(t, s, "the dial has failed", func() bool { return counter(s.workers[0], countConnectFail) == 1 })
	end()
	if why := s.dialCauses(); !strings.Contains(why, "no answer to the WebSocket handshake within 10s") {
		t.Errorf("got %q; want it to say so", why)
	}
}

// TestPolledByName: the name is looked up by a goroutine, and the poller dials an address that answers.
func TestPolledByName(t *testing.T) {
	last := make(chan []byte, 1)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		_, _ = c.Write(serverFrame(opText, true, []byte("hello")))
		go func() {
			all, _ := io.ReadAll(r)
			last <- all
			_ = c.Close()
		}()
	})
	s, _, end := polledSwarm(t, strings.Replace(url, "127.0.0.1", "localhost", 1), scenarios.BareProfile(), false)
	if in := s.instances[0]; in.numeric.IsValid() {
		t.Fatalf("localhost is taken for the address %v", in.numeric)
	}
	awaitLocked(t, s, "the message is taken", func() bool { return s.workers[0].foreigns == 1 })
	if entries := s.workers[0].poller.entries; len(entries) != 1 || entries[0].client == nil || s.linked.Load() != 1 {
		t.Errorf("got %+v, %d linked; want the connection with the poller", entries, s.linked.Load())
	}
	end()
	if got := <-last; !bytes.HasSuffix(got, closeFrame) {
		t.Errorf("got %q at the end; want a close frame", got)
	}
}

// TestPolledDialIsPermitted: an address that is not this machine's is not dialled.
func TestPolledDialIsPermitted(t *testing.T) {
	s, gate, end := polledSwarm(t, "ws://192.0.2.1:9/", scenarios.BareProfile(), false)
	awaitLocked(t, s, "the dial has failed", func() bool { return counter(s.workers[0], countConnectFail) >= 1 })
	end()
	if why := s.dialCauses(); !strings.Contains(why, "192.0.2.1 is not a loopback address") || len(gate) != 0 {
		t.Errorf("got %q, %d dials under way; want it refused", why, len(gate))
	}
}

// TestConnectedToItself: where nobody listens at a port that the kernel may choose, a socket can come to be its own peer.
func TestConnectedToItself(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(own.(*unix.SockaddrInet4).Port)
	if err := unix.Connect(fd, own); err != nil {
		t.Fatal(err)
	}
	if !toItself(fd, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)) {
		t.Error("a socket that is its own peer is not known for that")
	}
	for _, other := range []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port+1), netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), port),
	} {
		if toItself(fd, other) {
			t.Errorf("a socket that connects to %v is taken for its own peer", other)
		}
	}
}

// TestPollerStopsInADial: the dial's place is given back, its socket closed, and nothing counts as failed.
func TestPollerStopsInADial(t *testing.T) {
	served := make(chan net.Conn, 1)
	url := pollTarget(t, func(c net.Conn, _ *bufio.Reader, _ string) { served <- c })
	s, gate, end := polledSwarm(t, url, scenarios.BareProfile(), true)
	c := <-served
	defer c.Close()
	end()
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the target read %d bytes, %v; want the connection's end", n, err)
	}
	if len(gate) != 0 || counter(s.workers[0], countConnectFail) != 0 || s.linked.Load() != 0 {
		t.Errorf("got %d dials under way, %d failed, %d linked; want none", len(gate), counter(s.workers[0], countConnectFail), s.linked.Load())
	}
}

// TestPollerForgetsTheEnded: what the kernel told of a connection that has ended means nothing to the one that took its
// entry, and no descriptor is left.
func TestPollerForgetsTheEnded(t *testing.T) {
	before := descriptors(t)
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
	})
	s, _, end := polledSwarmIn(t, true, url, scenarios.BareProfile(), true)
	awaitLocked(t, s, "it is connected", func() bool { return s.linked.Load() == 1 && s.workers[0].poller.entries[0].dial == nil })
	p := s.workers[0].poller
	if p.opening != 0 {
		t.Errorf("%d dials are under way; want none", p.opening)
	}
	if c, _, why := p.take(unix.EpollEvent{Events: unix.EPOLLIN, Pad: p.entries[0].turn - 1}); c != nil || why != nil {
		t.Errorf("an event of an earlier connection was taken for this one's: %v", why)
	}
	if _, _, why := p.take(unix.EpollEvent{Events: unix.EPOLLIN, Pad: p.entries[0].turn}); why != nil {
		t.Errorf("an event without anything to read ended the connection: %v", why)
	}
	end()
	awaitLocked(t, s, "no descriptor is left but the target's listener", func() bool { return descriptors(t) <= before+1 })
	if p.opening != 0 {
		t.Errorf("%d dials are under way after the end; want none", p.opening)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// FuzzUpgrade: an answer means the same in one piece and in two, and only the one answer upgrades.
func FuzzUpgrade(f *testing.F) {
	const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
	f.Add([]byte(switching(accept)), 10)
	f.Add([]byte(switching("x")), 100)
	f.Add([]byte("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nabc"), 1)
	f.Add([]byte("220 mail"), 3)
	f.Add([]byte("HTTP/1.1 101 x\r\nConnection\r\n\r\n"), 5)
	f.Fuzz(func(t *testing.T, answer []byte, cut int) {
		cut = max(0, min(cut, len(answer)))
		whole, pieces := upgrade{accept: accept}, upgrade{accept: accept}
		done, early, terms, err := whole.take(answer)
		done2, early2, terms2, err2 := pieces.take(answer[:cut])
		if err2 == nil && !done2 {
			done2, early2, terms2, err2 = pieces.take(answer[cut:])
		} else if done2 {
			early2 = append(bytes.Clone(early2), answer[cut:]...)
		}
		if done != done2 || terms != terms2 || !bytes.Equal(early, early2) || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %v %q %v %v; in pieces: %v %q %v %v", done, early, terms, err, done2, early2, terms2, err2)
		}
		if done && (err != nil || !bytes.Contains(answer, []byte(accept)) || !bytes.HasSuffix(answer, early)) {
			t.Fatalf("%q upgraded, with %q early and %v", answer, early, err)
		}
	})
}

// TestUpgradeRequest is what a target reads.
func TestUpgradeRequest(t *testing.T) {
	header := http.Header{"Authorization": {"Bearer abc"}, "Host": {"other.example"}}
	up, err := newUpgrade(call{url: "ws://127.0.0.1:8/ws/a%2Fb?k=1", shown: "x", header: header, deflate: &deflateTerms{}}, []string{"v12.stomp"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(up.request)))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + acceptSuffix))
	want := http.Header{
		"Authorization": {"Bearer abc"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Protocol": {"v12.stomp"}, "Sec-Websocket-Extensions": {deflateOffer},
	}
	for name := range want {
		if got := r.Header[name]; fmt.Sprint(got) != fmt.Sprint(want[name]) {
			t.Errorf("%s: got %q; want %q", name, got, want[name])
		}
	}
	if r.Method != http.MethodGet || r.RequestURI != "/ws/a%2Fb?k=1" || r.Host != "other.example" || up.accept != base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("got %s %s of %s, accept %s", r.Method, r.RequestURI, r.Host, up.accept)
	}
	for _, bad := range []call{
		{url: "ws://user:secret@127.0.0.1:8/", shown: "x"}, {url: "ws://127.0.0.1:8/%zz-secret", shown: "x"},
		{url: "ws://127.0.0.1:8/", shown: "x", header: http.Header{"Upgrade": {"secret"}}},
	} {
		if _, err := newUpgrade(bad, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v; want an error without secrets", bad.url, err)
		}
	}
}

// TestReaders: who sends more than pongs, waits on purpose or is not reached by a plain socket is read by a goroutine.
func TestReaders(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*scenarios.Plan)
		url    string
		want   string
	}{
		"plain":            {func(*scenarios.Plan) {}, "ws://127.0.0.1:1/", ReaderEpoll},
		"TLS":              {func(*scenarios.Plan) {}, "wss://127.0.0.1:1/", ReaderGoroutines},
		"framed":           {func(p *scenarios.Plan) { p.Gateway.Profile.Framing = framingSTOMP }, "ws://127.0.0.1:1/", ReaderGoroutines},
		"acknowledge":      {func(p *scenarios.Plan) { p.Gateway.Profile.Acknowledge = "a" }, "ws://127.0.0.1:1/", ReaderGoroutines},
		"slow":             {func(p *scenarios.Plan) { p.Clients[0].Slow = &scenarios.SlowReading{} }, "ws://127.0.0.1:1/", ReaderGoroutines},
		"publishing":       {func(p *scenarios.Plan) { p.Clients[0].Publish = &scenarios.Publish{} }, "ws://127.0.0.1:1/", ReaderGoroutines},
		"coming and going": {func(p *scenarios.Plan) { p.Clients[0].Churn = &scenarios.Churn{} }, "ws://127.0.0.1:1/", ReaderGoroutines},
		"most": {func(p *scenarios.Plan) {
			p.Clients = append(p.Clients, scenarios.ClientGroup{Count: 1, Slow: &scenarios.SlowReading{}})
		}, "ws://127.0.0.1:1/", ReaderEpoll},
	} {
		t.Run(name, func(t *testing.T) {
			plan := enginePlan(c.url, nil)
			c.change(plan)
			if got := ReaderFor(plan, c.url); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
			want := 1 // of the producer
			if c.want == ReaderEpoll || name == "coming and going" {
				want += processors
			}
			if got := WaitingThreads(plan) - len(plan.Senders()) + 1; got != want {
				t.Errorf("got %d threads that wait; want %d", got, want)
			}
		})
	}
}

// TestWaitingThreadsOfPlannedTargets: what speaks TLS is not polled, wherever the plan says so.
func TestWaitingThreadsOfPlannedTargets(t *testing.T) {
	for name, c := range map[string]struct {
		gateway scenarios.GatewayPlan
		polled  bool
	}{
		"reference":          {scenarios.GatewayPlan{Target: scenarios.TargetReference}, true},
		"reference with TLS": {scenarios.GatewayPlan{Target: scenarios.TargetReference, Config: settings.Gateway{TLS: &settings.TLS{}}}, false},
		"command":            {scenarios.GatewayPlan{Target: scenarios.TargetCommand, Command: &scenarios.CommandTarget{URL: "ws://127.0.0.1:{port}/"}}, true},
		"command with TLS":   {scenarios.GatewayPlan{Target: scenarios.TargetCommand, Command: &scenarios.CommandTarget{URL: "wss://127.0.0.1:{port}/"}}, false},
		"container with TLS": {scenarios.GatewayPlan{Target: scenarios.TargetContainer, Container: &scenarios.ContainerTarget{URL: "wss://127.0.0.1:{port}/"}}, false},
	} {
		plan := enginePlan("", nil)
		c.gateway.Profile = plan.Gateway.Profile
		plan.Gateway = c.gateway
		if got := WaitingThreads(plan) > len(plan.Senders()); got != c.polled {
			t.Errorf("%s: got polled %v; want %v", name, got, c.polled)
		}
	}
}

// TestNumericTarget: what is no address, or one of a zone, is looked up at each dial.
func TestNumericTarget(t *testing.T) {
	for url, want := range map[string]string{
		"ws://127.0.0.1:8080/ws": "127.0.0.1:8080", "ws://127.0.0.1/": "127.0.0.1:80", "ws://[::1]:9/": "[::1]:9",
		"ws://localhost:1/": "", "ws://[fe80::1%25lo]:9/": "", "ws://127.0.0.1:port/": "",
	} {
		got := numericTarget(url)
		if got.IsValid() != (want != "") || got.IsValid() && got.String() != want {
			t.Errorf("%s: got %v; want %q", url, got, want)
		}
	}
}

// TestWaitingForThePollerIsNoDialling: what a dial waits for until its first address is tried is the generator's.
func TestWaitingForThePollerIsNoDialling(t *testing.T) {
	url := pollTarget(t, func(c net.Conn, r *bufio.Reader, accept string) {
		_, _ = io.WriteString(c, switching(accept))
		go func() { _, _ = io.Copy(io.Discard, r); _ = c.Close() }()
	})
	s, _, _ := polledSwarm(t, url, scenarios.BareProfile(), false)
	awaitLocked(t, s, "the first is connected", func() bool { return s.linked.Load() == 1 })
	d, err := s.newDialling(t.Context(), &client{worker: s.workers[0], index: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.release = func() {}
	made := time.Now().Add(-time.Hour)
	d.began = made
	s.workers[0].poller.dial(d)
	awaitLocked(t, s, "it is connected, or has failed", func() bool { return s.linked.Load() == 2 || counter(s.workers[0], countConnectFail) > 0 })
	s.workers[0].mu.Lock()
	defer s.workers[0].mu.Unlock()
	if s.linked.Load() != 2 || !d.began.After(made) {
		t.Errorf("got %d linked, %d failed, dialled since %v; want it dialled when its turn came", s.linked.Load(), counter(s.workers[0], countConnectFail), d.began)
	}
}

// TestNoRestBeforeDials, wherever they wait.
func TestNoRestBeforeDials(t *testing.T) {
	for name, c := range map[string]struct {
		p    poller
		want time.Duration
	}{
		"none":             {poller{}, restStep},
		"in the inbox":     {poller{inbox: make([]*dialling, 1)}, 0},
		"taken out of it":  {poller{queue: make([]*dialling, 1)}, 0},
		"begun, not ended": {poller{opening: 1}, 0},
	} {
		c.p.worker = &worker{}
		if got := c.p.restAfter(1); got != c.want {
			t.Errorf("%s: got a rest of %v; want %v", name, got, c.want)
		}
	}
}

package loadgen

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/scenarios"
)

// answering is a resolver whose answer to every question for an IPv4 address is what address returns at the time.
func answering(t *testing.T, address func() netip.Addr) *net.Resolver {
	t.Helper()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // not a packet connection: each message follows its length (RFC 1035, section 4.2.2)
		wg.Go(func() {
			defer server.Close()
			for {
				var size [2]byte
				if _, err := io.ReadFull(server, size[:]); err != nil {
					return
				}
				query := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(server, query); err != nil {
					return
				}
				reply := dnsReply(query, address())
				_, _ = server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
			}
		})
		return client, nil
	}}
}

// dnsReply answers the one question of a query: A with the address, anything else with nothing.
func dnsReply(query []byte, address netip.Addr) []byte {
	end := 12 + bytes.IndexByte(query[12:], 0) + 5
	question := query[12:end]
	reply := append([]byte(nil), query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0)
	reply = append(reply, question...)
	if binary.BigEndian.Uint16(question[len(question)-4:]) == 1 {
		reply[7] = 1
		reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		reply = append(reply, address.AsSlice()...)
	}
	return reply
}

// upgrading is a server that takes WebSockets and keeps them until the test ends. It counts them.
func upgrading(t *testing.T, each func(*websocket.Conn)) (port string, count *atomic.Int64) {
	t.Helper()
	count = &atomic.Int64{}
	up := websocket.Upgrader{ReadBufferSize: 256, WriteBufferSize: 256}
	life, end := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wg.Add(1)
		defer wg.Done()
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		defer context.AfterFunc(life, func() { _ = conn.Close() })()
		count.Add(1)
		if each != nil {
			each(conn)
		}
		_, _, _ = conn.ReadMessage()
	}))
	t.Cleanup(func() {
		end()
		s.Close()
		wg.Wait()
	})
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, count
}

func bareDialer(o Options) *dialer {
	wire := scenarios.BareProfile()
	return newDialer(o, &profile{wire: &wire})
}

// TestEachDialChecksItsAddress: the name resolves to this machine at first, and then to another one. Nothing is sent
// there: the port would be this machine's own otherwise, and 192.0.2.0/24 is nobody's (RFC 5737).
func TestEachDialChecksItsAddress(t *testing.T) {
	port, _ := upgrading(t, nil)
	loopback, elsewhere := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")
	var now atomic.Value
	now.Store(loopback)
	d := bareDialer(Options{})
	d.resolver = answering(t, func() netip.Addr { return now.Load().(netip.Addr) })
	to := call{url: "ws://target.test.:" + port + "/", shown: "ws://target.test./"}
	conn, _, err := d.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	now.Store(elsewhere)
	_, _, err = d.dial(t.Context(), to)
	if err == nil || !strings.Contains(err.Error(), "192.0.2.1 now") || !strings.Contains(err.Error(), "--allow-target target.test.") {
		t.Errorf("got %v; want the dial refused, with the address and the mend", err)
	}
	now.Store(loopback)
	if conn, _, err = d.dial(t.Context(), to); err != nil {
		t.Errorf("back on this machine: %v", err)
	} else {
		_ = conn.Close()
	}
}

// TestNoRedirectIsFollowed: not even to this machine.
func TestNoRedirectIsFollowed(t *testing.T) {
	port, count := upgrading(t, nil)
	away := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:"+port+"/", http.StatusFound))
	defer away.Close()
	url := "ws" + away.URL[len("http"):]
	_, _, err := bareDialer(Options{}).dial(t.Context(), call{url: url, shown: url})
	if err == nil || !strings.Contains(err.Error(), "HTTP 302, and redirects are not followed") {
		t.Errorf("got %v; want it to name the redirect", err)
	}
	if n := count.Load(); n != 0 {
		t.Errorf("%d connections were made to where the redirect points", n)
	}
}

// TestSourceAddressesInTurn needs 127.0.0.0/8 to be this machine, as Linux has it.
func TestSourceAddressesInTurn(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Clients[0].SourceAddresses = []string{"127.0.0.2", "127.0.0.3"}
	if err := checkSources(plan); err != nil {
		t.Skipf("no further loopback addresses: %v", err)
	}
	plan.Clients = append(plan.Clients, plan.Clients[0])
	plan.Clients[0].Count, plan.Clients[1].Count = 3, 2
	froms := make(chan string, 5)
	port, _ := upgrading(t, func(c *websocket.Conn) {
		host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
		froms <- host
	})
	plan.Gateway.URL = "ws://127.0.0.1:" + port + "/"
	s := profiledSwarm(t, plan)
	var got []string
	for _, c := range s.clients {
		conn, _, err := s.dialer.dial(t.Context(), s.callOf(c))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		got = append(got, <-froms)
	}
	if want := []string{"127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3", "127.0.0.2"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}

func TestSourceAddressesMustBeOurs(t *testing.T) {
	plan := enginePlan("ws://127.0.0.1:1/", nil)
	plan.Clients[0].SourceAddresses = []string{"192.0.2.77", "eth0", "127.0.0.1"}
	err := checkSources(plan)
	if err == nil || !strings.Contains(err.Error(), "192.0.2.77 can't be bound") || !strings.Contains(err.Error(), "ip addr add 192.0.2.77") ||
		!strings.Contains(err.Error(), `"eth0" is not an IP address`) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("got %v; want both that can't be used named, with the mend", err)
	}
}

// TestSlowReadersPushBack: the target writes without end to a client that reads 10 bytes an hour. Its writes must block
// when the small buffers are full, and the client must end at once.
func TestSlowReadersPushBack(t *testing.T) {
	written := make(chan int, 1)
	port, _ := upgrading(t, func(c *websocket.Conn) {
		_ = c.UnderlyingConn().(*net.TCPConn).SetWriteBuffer(4 << 10)
		n, message := 0, make([]byte, 1000)
		for {
			// A write that finds no room for so long is one that blocks; what one that is merely late leaves out is not needed.
			_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			if c.WriteMessage(websocket.BinaryMessage, message) != nil {
				written <- n
				return
			}
			n += len(message)
		}
	})
	plan := enginePlan("ws://127.0.0.1:"+port+"/", nil)
	plan.Gateway.Profile = scenarios.BareProfile()
	plan.Clients[0].Slow = &scenarios.SlowReading{ReceiveBuffer: 4 << 10, Every: time.Hour, Bytes: 10}
	s := profiledSwarm(t, plan)
	life, end := context.WithCancel(t.Context())
	defer end()
	conn, early, err := s.dialer.dial(life, s.callOf(s.clients[0]))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.session(life, s.clients[0], conn, early) }()
	if n := <-written; n > 64<<10 { // some 160 KB with the system's own receive buffer
		t.Errorf("the target could write %d bytes to a client that reads nothing; want its buffers to bound them", n)
	}
	end()
	if err := <-ended; err == nil {
		t.Error("the session ended without a reason")
	}
}

// TestSlowReadsAreBounded: each takes at most so many bytes, replies are sent outside of the lock, and an error of either
// side ends them.
func TestSlowReadsAreBounded(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		_, _ = server.Write([]byte("0123456789"))
		answer := make([]byte, 4)
		_, _ = io.ReadFull(server, answer)
		_, _ = server.Write(answer)
		_ = server.Close()
	}()
	var lock sync.Mutex
	var reads []string
	err := receiveSlowly(t.Context(), client, &scenarios.SlowReading{Every: time.Nanosecond, Bytes: 4}, nil, &lock, func(p []byte, kernelAt, readAt int64, reply io.Writer) error {
		if lock.TryLock() {
			t.Error("the bytes are handled without the lock")
		}
		if kernelAt != 0 || readAt == 0 {
			t.Errorf("read at %d, the kernel had it at %d; want the program's time alone", readAt, kernelAt)
		}
		reads = append(reads, string(p))
		if len(reads) == 3 {
			_, _ = reply.Write([]byte("done"))
		}
		return nil
	})
	if !errors.Is(err, io.EOF) || !slices.Equal(reads, []string{"0123", "4567", "89", "done"}) {
		t.Errorf("got %q, %v; want pieces of 4 bytes and the reply back", reads, err)
	}
}

package gateway

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// siegeBound is what the gateway's heap and stacks may grow by under siege: for each of the besiegers a message being read
// and one being inflated, a queue and its share of what is pooled, and as much again that is not collected yet.
const siegeBound = 64 << 20

// besieger is one kind of hostile client. Its frames are sent again and again until the connection ends.
type besieger struct {
	name    string
	query   string // of what it asks for
	deflate bool
	first   []byte // sent once, before the frames
	frames  []byte
	silent  bool // reads nothing, and so does not see why it is thrown out
	want    CloseCode
}

func besiegers() []besieger {
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise) // never fails (crypto/rand)
	noise[0] |= 0x30        // so that the first frame is wrong already
	fragment := masked(opContinuation, strings.Repeat("x", 1000))
	fragment[0] &^= finBit
	begin := []byte{byte(opText), maskBit, 0, 0, 0, 0}
	const subscribe = `{"type":"subscribe","channels":["prices/a","prices/b"]}`
	return []besieger{
		{name: "oversized", frames: masked(opText, strings.Repeat(" ", 70<<10)), want: CloseTooBig},
		{name: "never-ending fragments", first: begin, frames: fragment, want: CloseTooBig},
		{name: "never-ending empty fragments", first: begin, frames: []byte("\x00\x80\x00\x00\x00\x00"), want: CloseTooManyFrames},
		{name: "compression bomb", deflate: true, frames: maskedDeflated(opText, deflated(strings.Repeat("\x00", 50<<20), 9)), want: CloseTooBig},
		{name: "ping flood", frames: masked(opPing, strings.Repeat("p", 125)), want: CloseTooManyFrames},
		{name: "subscribe flood", frames: masked(opText, subscribe), want: CloseTooManyFrames},
		{name: "random bytes", frames: noise, want: CloseProtocolError},
		{name: "slow reader", query: "?channel=prices", silent: true, want: CloseSlowClient},
	}
}

// startChild runs a gateway in a process of its own, whose memory is its own too, with limits for a siege.
func startChild(t *testing.T) *gatewayUnderTest {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "prices"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childBrokers+"="+strings.Join(cluster.ListenAddrs(), ","), childBesieged+"=1")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := child.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return &gatewayUnderTest{t: t, addr: strings.TrimSpace(addr), kafka: kafka}
}

// memory is what the gateway's heap and stacks hold, in bytes.
func (g *gatewayUnderTest) memory() (sum int64) {
	g.t.Helper()
	values, _ := g.metrics()
	for _, name := range []string{"go_memstats_heap_inuse_bytes", "go_memstats_stack_inuse_bytes"} {
		v, err := strconv.ParseFloat(values[name], 64)
		if err != nil {
			g.t.Fatalf("%s: %v", name, err)
		}
		sum += int64(v)
	}
	return sum
}

// Under all kinds of hostile clients at once the gateway's memory stays within its bound, healthy clients get every
// record, and each of the others is thrown out for what it did.
func TestSiege(t *testing.T) {
	g := startChild(t)
	healthy := []*testClient{g.dial("prices"), g.dial("prices/k"), g.dialDeflating("prices")}
	before := g.memory()
	const each = 8
	kinds := besiegers()
	want := make(map[string]int64)
	ended := make(chan error, each*len(kinds))
	over := make(chan struct{})
	for _, b := range kinds {
		want[b.want.String()] += each
		for range each {
			go func() { ended <- b.run(g.addr, over) }()
		}
	}
	slowHeaders := make([]net.Conn, each)
	for i := range slowHeaders {
		conn, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprint(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		slowHeaders[i] = conn
	}

	// Records flow until all are gone, and so fill the slow readers' sockets.
	peak, records, value := before, int64(0), strings.Repeat("v", 64<<10)
	for deadline := time.Now().Add(6 * patience); ; {
		g.produce(0, &kgo.Record{Key: []byte("k"), Value: []byte(value)})
		for i, c := range healthy {
			if m := c.read(); m.Offset != records || string(m.Value) != value {
				t.Fatalf("healthy client %d: got offset %d with %d bytes; want %d", i, m.Offset, len(m.Value), records)
			}
		}
		records++
		peak = max(peak, g.memory())
		closes := g.stats().Closes
		if reached(closes, want) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("closes: got %v; want %v", closes, want)
		}
	}
	close(over)
	for range each * len(kinds) {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for _, conn := range slowHeaders {
		conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a request without an end is waited for")
		}
	}
	s := g.eventually("the hostile are gone", func(s Stats) bool { return s.Connections == int64(len(healthy)) })
	for code, n := range want {
		if s.Closes[code] != n {
			t.Errorf("closed as %s: got %d; want %d", code, s.Closes[code], n)
		}
	}
	t.Logf("%d hostile clients, %d records to each healthy one; memory from %d to %d KiB at most",
		each*(len(kinds)+1), records, before>>10, peak>>10)
	if peak-before > siegeBound {
		t.Errorf("memory grew from %d to %d bytes; want %d more at most", before, peak, int64(siegeBound))
	}
}

func reached(got, want map[string]int64) bool {
	for code, n := range want {
		if got[code] < n {
			return false
		}
	}
	return true
}

// run connects and sends until the gateway has had enough, and reports what is wrong with the end.
func (b besieger) run(addr string, over <-chan struct{}) error {
	d := websocket.Dialer{EnableCompression: b.deflate}
	ws, resp, err := d.Dial("ws://"+addr+"/ws"+b.query, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", b.name, err)
	}
	resp.Body.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		conn := ws.NetConn()
		_, err := conn.Write(b.first)
		for err == nil && len(b.frames) > 0 {
			_, err = conn.Write(b.frames)
		}
	}()
	defer func() {
		ws.Close()
		<-sent
	}()
	if b.silent {
		<-over
		return nil
	}
	for {
		ws.SetReadDeadline(time.Now().Add(6 * patience))
		_, _, err := ws.ReadMessage()
		if err == nil {
			continue
		}
		closed, ok := err.(*websocket.CloseError)
		if !ok || CloseCode(closed.Code) != b.want {
			return fmt.Errorf("%s: got %w; want close %d", b.name, err, b.want)
		}
		return nil
	}
}

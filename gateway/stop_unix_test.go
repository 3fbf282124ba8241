//go:build unix

package gateway

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A gateway that the kernel stops for a while goes on as if nothing had been:
// nobody is thrown out, and everything is delivered. The clients give signs of life
// apart from their reading: a pong would come only when they had worked through
// the records before the ping, which a busy machine may let take longer than the
// gateway waits.
func TestStoppedProcessResumes(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "prices"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childBrokers+"="+strings.Join(cluster.ListenAddrs(), ","))
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
		_ = child.Process.Signal(syscall.SIGCONT) // had the test failed in between
		if err := child.Wait(); err != nil {
			t.Errorf("child: %v", err)
		}
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	kafka, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	g := &gatewayUnderTest{t: t, addr: strings.TrimSpace(addr), kafka: kafka}

	received := make(chan error, 3)
	const perPartition, n = 1000, 4 * 1000
	clients := []*testClient{g.dial("prices"), g.dial("prices/k"), g.dial("prices")}
	read := make(chan struct{})
	var alive sync.WaitGroup
	for _, c := range clients {
		alive.Go(func() { c.giveSigns(read) })
		go func() {
			for range n {
				if _, err := c.tryRead(); err != nil {
					received <- err
					return
				}
			}
			received <- nil
		}()
	}
	for p := range int32(4) {
		if p == 1 {
			if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		g.produce(p, keyed("k", 0, perPartition)...)
	}
	<-time.After(4 * childPing) // is the length of the stop, nothing is waited for
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for range clients {
		if err := <-received; err != nil {
			t.Error(err)
		}
	}
	close(read)
	alive.Wait()
	if s := g.stats(); s.Deliveries != 3*n || s.Connections != 3 {
		t.Errorf("stats: %+v; want %d deliveries to 3 clients", s, 3*n)
	}
}

// giveSigns shows the gateway that the client lives until over is closed.
func (c *testClient) giveSigns(over <-chan struct{}) {
	tick := time.NewTicker(childPing / 20)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			// Where the connection is closed, the reader tells.
			_ = c.ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(patience))
		}
	}
}

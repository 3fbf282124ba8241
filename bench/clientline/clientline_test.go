package clientline

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRun leads a program from its start to its end as the comparison does.
func TestRun(t *testing.T) {
	in, tell := io.Pipe()
	out, say := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Run(Options{Connections: 3}, in, say, func(o Options, c *Counts) error {
			c.Open.Add(int64(o.Connections))
			c.Of(0).Took([]byte(Record + `,"topic":"a"}` + "\n1"))
			c.Of(2).Took([]byte(Record + `,"topic":"a"}` + "\n12"))
			c.Of(2).Took([]byte(`{"type":"hello"}`))
			return nil
		})
		_ = say.Close()
		ended <- err
	}()
	lines := bufio.NewScanner(out)
	next := func() (l Line) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("no more lines: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := next(); l.State != StateReady || l.Open != 0 || l.AtNS == 0 {
		t.Errorf("first line %+v; want it ready with nothing open", l)
	}
	if _, err := io.WriteString(tell, "go\n"); err != nil {
		t.Fatal(err)
	}
	l := next()
	for l.State == StateCount && l.Open == 0 {
		l = next()
	}
	for l.State != StateOpen {
		l = next()
	}
	if l.Open != 3 || l.Messages != 2 || l.Bytes != int64(2*len(Record)+15+16) {
		t.Errorf("got %+v; want 3 open, and the two messages of two connections, since hello is no record", l)
	}
	if l := next(); l.State != StateCount {
		t.Errorf("got %+v behind it; want a count", l)
	}
	_ = tell.Close()
	for lines.Scan() { // what was under way
		continue
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestTakenIsApart: two counters never share a cache line.
func TestTakenIsApart(t *testing.T) {
	if n := unsafe.Sizeof(Taken{}); n != cacheLine {
		t.Errorf("a counter takes %d bytes; want %d", n, cacheLine)
	}
}

// TestRunUnwanted: who is let go before it was told to connect does not.
func TestRunUnwanted(t *testing.T) {
	in, tell := io.Pipe()
	_ = tell.Close()
	err := Run(Options{}, in, io.Discard, func(Options, *Counts) error { t.Error("it connects"); return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestRunFails(t *testing.T) {
	in, tell := io.Pipe()
	go func() { _, _ = io.WriteString(tell, "go\n") }()
	refused := errors.New("refused")
	if err := Run(Options{}, in, io.Discard, func(Options, *Counts) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("got %v; want the dials' error", err)
	}
	_ = tell.Close()
}

func TestParse(t *testing.T) {
	o, err := Parse([]string{"-url", "ws://127.0.0.1:1/ws", "-channels", "a/k0,a/k1", "-connections", "5"})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"ws://127.0.0.1:1/ws?channel=a%2Fk0", "ws://127.0.0.1:1/ws?channel=a%2Fk1", "ws://127.0.0.1:1/ws?channel=a%2Fk0"} {
		if got := o.ChannelURL(i); got != want {
			t.Errorf("connection %d: got %s; want %s", i, got, want)
		}
	}
	if o, err = Parse([]string{"-url", "ws://127.0.0.1:1/ws", "-connections", "5"}); err != nil || o.ChannelURL(3) != "ws://127.0.0.1:1/ws" {
		t.Errorf("without channels: got %s, %v; want the address as it is", o.ChannelURL(3), err)
	}
	for name, args := range map[string][]string{
		"no address":     {"-channels", "a", "-connections", "1"},
		"no WebSocket":   {"-url", "http://127.0.0.1:1/", "-channels", "a", "-connections", "1"},
		"no connections": {"-url", "ws://127.0.0.1:1/", "-channels", "a"},
		"unknown":        {"-what"},
	} {
		if _, err := Parse(args); err == nil {
			t.Errorf("%s: %v is taken", name, args)
		}
	}
}

// Package clientline is what the client programs of the comparisons have in common: their flags, and the lines by which they
// and the comparison speak. A program says "ready" on standard output, dials when a line comes on standard input, says "open"
// when all its connections are, and "count" all the while, until standard input ends.
//
// What it does not do is to connect or to read: that is what is compared.
package clientline

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The states that a line tells of.
const (
	StateReady = "ready" // nothing is dialled yet: what the process takes now is its base
	StateOpen  = "open"  // all connections are open; said once
	StateCount = "count"
)

// Line is one line of a client program.
type Line struct {
	State    string `json:"state"`
	AtNS     int64  `json:"at_ns"` // Unix
	Open     int64  `json:"open"`  // connections that have been opened so far
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"` // payloads of the messages
	Ended    int64  `json:"ended"` // connections that ended by themselves; any spoils the comparison
}

// Record is what the frame of a record begins with in the reference gateway's protocol; its other messages begin otherwise.
const Record = `{"type":"message"`

// Options is what a client program is to do.
type Options struct {
	URL         *url.URL // without channels
	Channels    []string // connection i follows channel i modulo their number; none follows any where there is none
	Connections int
	Dialling    int // connections that are opened at a time
}

// ChannelURL is the address by which connection i follows its channel.
func (o Options) ChannelURL(i int) string {
	if len(o.Channels) == 0 {
		return o.URL.String()
	}
	u := *o.URL
	u.RawQuery = "channel=" + url.QueryEscape(o.Channels[i%len(o.Channels)])
	return u.String()
}

// Main is a client program that is called name: its flags are the command line's, and start begins to hold the connections.
func Main(name string, start func(Options, *Counts) error) {
	o, err := Parse(os.Args[1:])
	if err == nil {
		err = Run(o, os.Stdin, os.Stdout, start)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// Parse reads the flags that all client programs have.
func Parse(args []string) (Options, error) {
	var o Options
	var address, channels string
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&address, "url", "", "the gateway's `ADDRESS`, ws://HOST:PORT/PATH")
	flags.StringVar(&channels, "channels", "", "the channels, split by commas (default none)")
	flags.IntVar(&o.Connections, "connections", 0, "how many connections to hold")
	flags.IntVar(&o.Dialling, "dialling", 64, "how many connections to open at a time")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return o, fmt.Errorf("-url: %w", err)
	case u.Scheme != "ws" || u.Host == "":
		return o, fmt.Errorf("-url %q is not ws://HOST:PORT/PATH", address)
	case o.Connections < 1 || o.Dialling < 1:
		return o, errors.New("-connections and -dialling must be 1 or more")
	}
	o.URL = u
	if channels != "" {
		o.Channels = strings.Split(channels, ",")
	}
	return o, nil
}

// Counts is what a client program has done so far. It is written by the program and read by Run.
type Counts struct {
	Open, Ended atomic.Int64
	taken       []Taken
}

// Taken counts what one connection, or one thread, has taken. Each has a cache line of its own: a counter that all share would
// cost a message more than much of what is compared.
type Taken struct {
	messages, bytes atomic.Int64
	_               [cacheLine - 16]byte
}

const cacheLine = 64 // bytes

// Of is the counter of connection, or thread, i of as many as there are connections.
func (c *Counts) Of(i int) *Taken { return &c.taken[i] }

// Took counts a record's frame by its payload; frames of other messages count nothing.
func (t *Taken) Took(payload []byte) {
	if len(payload) >= len(Record) && string(payload[:len(Record)]) == Record {
		t.messages.Add(1)
		t.bytes.Add(int64(len(payload)))
	}
}

const countEvery = 200 * time.Millisecond

// Run says that the program is ready, waits for a line on in, calls start, which connects and returns once all connections
// are open, and counts until in ends or start fails. Whatever start has left running ends with the process: the caller is to
// return from main.
func Run(o Options, in io.Reader, out io.Writer, start func(Options, *Counts) error) error {
	counts := &Counts{}
	if err := tell(out, StateReady, counts); err != nil {
		return err
	}
	lines := bufio.NewReader(in)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil // nobody wants it any more
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		_, _ = io.Copy(io.Discard, lines)
	}()
	counts.taken = make([]Taken, o.Connections) // not before: it is no part of the base
	connected := make(chan error, 1)
	go func() { connected <- start(o, counts) }()
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	for {
		state := StateCount
		select {
		case <-over:
			return nil
		case err := <-connected:
			if err != nil {
				return err
			}
			connected, state = nil, StateOpen
		case <-tick.C:
		}
		if err := tell(out, state, counts); err != nil {
			return err
		}
	}
}

func tell(out io.Writer, state string, c *Counts) error {
	l := Line{State: state, AtNS: time.Now().UnixNano(), Open: c.Open.Load(), Ended: c.Ended.Load()}
	for i := range c.taken {
		l.Messages += c.taken[i].messages.Load()
		l.Bytes += c.taken[i].bytes.Load()
	}
	line, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}

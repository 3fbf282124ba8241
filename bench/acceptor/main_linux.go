// Command acceptor is the barest WebSocket server that the comparisons have, for measuring who dials: it takes connections,
// answers the handshake (RFC 6455, section 4.2), and from then on reads and drops what comes. It sends no frame, judges no
// request beyond finding its key, and closes a connection when the client has ended it.
//
// It listens at a free port of 127.0.0.1, prints its address, ws://127.0.0.1:PORT/, as a line, and ends when standard input
// does, or by an interrupt or SIGTERM.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "acceptor:", err)
		os.Exit(1)
	}
}

// run serves until in ends or ctx does, and closes all connections. The goroutine that waits for the end of in lives as long
// as that takes.
func run(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := listen()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(out, s.url); err != nil {
		s.close()
		return err
	}
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, in)
	}()
	return s.serve(ctx)
}

//go:build !linux

// Command acceptor is the barest WebSocket server that the comparisons have. It waits for its connections by epoll(7), which
// only Linux has.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "acceptor: it waits by epoll, which only Linux has (run the comparison there)")
	os.Exit(1)
}

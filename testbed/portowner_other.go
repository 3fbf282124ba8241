//go:build !linux

package testbed

import (
	"net"
	"strconv"
	"time"
)

// portOwner is known on Linux alone.
func portOwner(string) string { return "" }

// listened reports whether somebody takes connections at the port; who it is is known on Linux alone.
func listened(host string, port, _ int, _ string) (bool, error) {
	c, err := net.DialTimeout("tcp", net.JoinHostPort(host, strconv.Itoa(port)), time.Second)
	if err != nil {
		return false, nil
	}
	return true, c.Close()
}

func processName(pid int) string { return "process " + strconv.Itoa(pid) }

// listenedInside can't be seen here.
func listenedInside(int, int) (listens, known bool) { return false, false }

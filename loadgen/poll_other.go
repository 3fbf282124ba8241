//go:build !linux

package loadgen

import (
	"errors"
	"net"
)

// poller is known on Linux alone: everywhere else each connection is read by a goroutine of its own.
type poller struct{}

const pollerKnown = false

func newPoller(*worker, func(*client, error)) (*poller, error) { return nil, nil }

func (*poller) run() {}
func (*poller) end() {}

func (*poller) add(*client, net.Conn) error { return errors.ErrUnsupported }

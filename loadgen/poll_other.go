//go:build !linux

package loadgen

import (
	"errors"
	"net"
)

// poller is known on Linux alone: everywhere else each connection is read by a goroutine of its own.
type poller struct{}

const pollerKnown = false

func newPoller(*worker, func(*client, error), func(*client, *dialling, error)) (*poller, error) {
	return nil, errors.ErrUnsupported
}

func (*poller) run()                         {}
func (*poller) stop()                        {}
func (*poller) dial(*client, uint64, func()) {}
func (*poller) add(*client, net.Conn) error  { return errors.ErrUnsupported }

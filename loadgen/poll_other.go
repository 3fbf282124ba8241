//go:build !linux

package loadgen

import "errors"

// poller is known on Linux alone: everywhere else each connection is read by a goroutine of its own.
type poller struct{}

const pollerKnown = false

func newPoller(*worker, func(*client, error), func(*dialling, error)) (*poller, error) {
	return nil, errors.ErrUnsupported
}

func (*poller) run(func(error, error)) {}
func (*poller) stop()                  {}
func (*poller) dial(*dialling)         {}
func (*poller) descriptors() int       { return 0 }

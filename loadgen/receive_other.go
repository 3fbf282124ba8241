//go:build !linux

package loadgen

import (
	"net"
	"sync"
)

// ReceiveStamps says what a read time is on this system: when the program had the bytes. The kernel does not tell.
const ReceiveStamps = "program"

// receiveSpace is what one worker reads into.
type receiveSpace struct{ data [16 << 10]byte }

// receive reads conn until it ends, calling handle for each read with the worker locked.
func receive(conn net.Conn, lock sync.Locker, space *receiveSpace, handle receiver) error {
	return receivePortable(conn, lock, handle)
}

package loadgen

import (
	"io"
	"net"
	"sync"
	"time"
)

// receiver takes the bytes of one read. reply writes to the same connection, for pongs and the like.
type receiver func(p []byte, kernelAt, readAt int64, reply io.Writer) error

// receivePortable reads conn with a buffer of its own and the program's clock.
func receivePortable(conn net.Conn, lock sync.Locker, handle receiver) error {
	buf := make([]byte, 16<<10)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			readAt := time.Now().UnixNano()
			lock.Lock()
			failed := handle(buf[:n], 0, readAt, conn)
			lock.Unlock()
			if failed != nil {
				return failed
			}
		}
		if err != nil {
			return err
		}
	}
}

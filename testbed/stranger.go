package testbed

import "fmt"

// strangerError is a port that something else listens at than the target.
type strangerError struct {
	port int
	pid  int // 0 where it is not known
}

// Error names who it is.
func (e *strangerError) Error() string {
	who := "a process of another user"
	if e.pid != 0 {
		who = processName(e.pid)
	}
	return fmt.Sprintf("a stranger listens at port %d: %s, which the target did not start (end it; where the target's port is fixed, let it listen at {port})",
		e.port, who)
}

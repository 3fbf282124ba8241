package gateway

// carriage is what a client rides on that has no goroutines of its own: see polls.
type carriage interface {
	// schedule has a writer take what waits in the client's queue, whose mutex is held and which has marked itself
	// scheduled.
	schedule()
	// fetch does what queue.fetch does, for schedule.
	fetch() (sum int)
	// sever drops the connection.
	sever()
	// pause has f run in a goroutine, and nothing more is read from the client before it returns. It is called by who
	// reads.
	pause(f func())
}

// serve runs a client that has been admitted, what it sends being given to handle, and forgets it when the connection
// has ended. The hub's mutex is held.
func (h *hub) serve(c *client, handle func(opcode, []byte) bool) {
	if h.polls.take(c, handle) {
		return
	}
	h.clientsDone.Go(func() {
		c.run(handle)
		h.remove(c)
	})
}

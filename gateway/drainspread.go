package gateway

import "time"

// spreadDrain closes the clients evenly over the span, each when it has the
// answers to what it has published and its queue is written out. It returns when
// the last was told, not when it is gone; a client that has left by itself is
// not waited for. With a span of 0 it does nothing: a drain of all follows.
func (h *hub) spreadDrain(span time.Duration) {
	if span <= 0 {
		return
	}
	startedAt := time.Now()
	h.mu.Lock()
	clients := make([]*client, 0, len(h.clients))
	for c := range h.clients { // in no order, so that no kind of client is first
		clients = append(clients, c)
	}
	h.mu.Unlock()
	for i, c := range clients {
		if _, _, left := c.queue.closed(); left {
			continue
		}
		if wait := time.Until(startedAt.Add(closeDue(i, len(clients), span))); wait > 0 {
			time.Sleep(wait)
		}
		h.flushGathered() // it has to get what was read before
		c.queue.drain()
	}
}

// closeDue is when the i-th of n clients is to be closed, after the beginning.
// The first is closed at once, so that one alone does not wait.
func closeDue(i, n int, span time.Duration) time.Duration {
	return time.Duration(float64(span) * (float64(i) / float64(n)))
}

package loadgen

import "time"

// rest is how long a poller lets arrivals gather before it looks for more. Most of what a small message costs its reader is
// the thread's falling asleep and waking for it; a thread that rests is woken once for many. The kernel has stamped what came
// meanwhile, so latency stays exact but for messages of one connection that come to be read together, of which the kernel
// tells when the last came: where that happens there is no rest for a while, and then a short one. So one message in
// restBehind, or fewer, is read together with another since the poller rested. The zero value is ready.
type rest struct {
	length    time.Duration
	coalesced int64
	held      int // connections that are to be found ready before there are rests again
}

const (
	longestRest = 200 * time.Microsecond
	restStep    = longestRest / 16
	restBehind  = 128 // connections found ready, since messages were read together, until there are rests again
)

// after returns how long to rest after a look at the connections that found so many ready of most that it takes; coalesced
// is how many messages have been read together with later ones by now.
func (r *rest) after(found, most int, coalesced int64) time.Duration {
	shared := coalesced - r.coalesced
	r.coalesced = coalesced
	switch {
	case shared > 0:
		r.length, r.held = 0, restBehind
	case r.held > 0:
		r.held -= found
	case found > 0:
		r.length = min(r.length+restStep, longestRest)
	}
	if found == 0 || found == most {
		return 0
	}
	return r.length
}

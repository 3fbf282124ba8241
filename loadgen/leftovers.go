package loadgen

// leftovers is memory for what is unfinished, shared by readers of one owner since few have something unfinished at a time:
// a message that takes several reads costs no memory that another has not had before it. Nil has none.
type leftovers struct {
	free  []*unfinished
	bytes int // that they have
}

// keptLeftovers is how many bytes wait for the next in all: of 64 KiB, what a hundred clients have unfinished at a time.
const keptLeftovers = 8 << 20

// bytes is the memory that is held.
func (u *unfinished) bytes() int { return 64 + cap(u.rest) + cap(u.message) }

func (l *leftovers) get() *unfinished {
	if l == nil || len(l.free) == 0 {
		return new(unfinished)
	}
	u := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	l.bytes -= u.bytes()
	return u
}

func (l *leftovers) put(u *unfinished) {
	if l == nil || l.bytes+u.bytes() > keptLeftovers {
		return
	}
	u.rest, u.message = u.rest[:0], u.message[:0]
	l.bytes += u.bytes()
	l.free = append(l.free, u)
}

// roomAhead is how many times as much memory as there is of a frame is taken for what its header promises, so that promises
// alone fill no memory.
const roomAhead = 4

// withRoom returns rest with room for n bytes more of a frame of a whole length: for all of it where that is not too far ahead.
func withRoom(rest []byte, n, whole int) []byte {
	have := len(rest) + n
	if have <= cap(rest) {
		return rest
	}
	grown := make([]byte, len(rest), max(have, min(whole, roomAhead*have)))
	copy(grown, rest)
	return grown
}

// frameLength is how long the frame is whose beginning data is, as far as that tells: at least what its header takes. data
// is what parseFrame finds no fault with.
func frameLength(data []byte) int {
	if len(data) < 2 {
		return 2
	}
	head, length := frameHead(data)
	return head + int(length)
}

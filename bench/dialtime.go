package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// timeDials watches the descriptors of a server, which is a process by its number, until all connections are open. w follows
// the client, and is ended.
func (b *bench) timeDials(ctx context.Context, w *watch, server int, alive ...*process) (dialFigures, error) {
	s := watchProcess(server, watchDialEvery)
	defer s.end()
	var open line
	began := time.Now()
	still := 0 // looks in a row that found all of them
	for still < 3 {
		n, err := descriptors(server)
		if err != nil {
			return noDial(), fmt.Errorf("count the server's descriptors: %w", err)
		}
		open = append(open, point{time.Now().UnixNano(), float64(n)})
		still++
		if n < b.clients {
			still = 0
		}
		if err := ended("dialling", alive); err != nil {
			return noDial(), err
		}
		if time.Since(began) > openIn {
			return noDial(), fmt.Errorf("dialling: %d connections were not open within %s", b.clients, openIn)
		}
		if err := pause(ctx, 2*time.Millisecond); err != nil {
			return noDial(), err
		}
	}
	client, own := w.used(), s.used()
	within, seen := crossing(open, float64(b.clients))
	if !seen {
		return noDial(), errors.New("dialling: more than 5% of the connections were open at the first look (take more -clients, or a lower -connect-rate)")
	}
	done := 0.9 * float64(b.clients)
	return dialFigures{done / within.seconds(), client.grown(within) / done * 1e6, own.grown(within) / done * 1e6}, nil
}

// used ends the watch after a last look, so that it reaches as far as what has been seen by now, and returns the processor time
// of both kinds, in seconds.
func (w *watch) used() (both line) {
	_ = w.look() // a process that has ended is told by who waits for it
	user, system, _ := w.end()
	for i, p := range user {
		both = append(both, point{p.atNS, p.value + system[i].value})
	}
	return both
}

// crossing is the span in which a growing quantity went from 5% to 95% of its last n; false where it was beyond the 5% when it
// was first looked at.
func crossing(l line, n float64) (within span, seen bool) {
	last := l[len(l)-1].value
	if l[0].value > last-0.95*n {
		return span{}, false
	}
	return span{l.reached(last - 0.95*n), l.reached(last - 0.05*n)}, true
}

// reached is when the quantity first was so large, between the points as if it had grown evenly.
func (l line) reached(value float64) int64 {
	for i, p := range l {
		if p.value < value {
			continue
		}
		if i == 0 || p.value == l[i-1].value {
			return p.atNS
		}
		a := l[i-1]
		return a.atNS + int64((value-a.value)/(p.value-a.value)*float64(p.atNS-a.atNS))
	}
	return l[len(l)-1].atNS
}

// descriptors is how many a process has open: Linux 6.2 and newer give it as the directory's size.
func descriptors(pid int) (int, error) {
	info, err := os.Stat(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, err
	}
	if info.Size() == 0 {
		return 0, errors.New("this kernel does not tell how many there are (Linux 6.2 does)")
	}
	return int(info.Size()), nil
}

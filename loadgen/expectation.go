package loadgen

import (
	"sync"

	"github.com/weirbench/weir/results"
)

// expectation counts, for one producer and while the run goes, the deliveries that its sends should cause: each of a
// stream's messages once for every client whose subscription is in force. It reads the positions that the pacing
// goroutine publishes and never holds that up.
type expectation struct {
	ledger   *ledger
	position func(byKey bool, id int) uint64 // the ledger's

	mu     sync.Mutex
	parts  []followers
	keys   []followers
	counts []int64 // by load phase, since the last take
}

// followers are the clients whose subscription to one stream is in force.
type followers struct {
	counted uint64 // up to which number messages have been counted
	joined  int32
	prompt  int32 // of them, those that don't read slowly on purpose
}

func newExpectation(shape *producerShape, l *ledger, phases int) *expectation {
	return &expectation{
		ledger: l, position: l.position, parts: make([]followers, shape.partitions), keys: make([]followers, shape.keys), counts: make([]int64, phases),
	}
}

func (e *expectation) stream(byKey bool, id int) *followers {
	if byKey {
		return &e.keys[id]
	}
	return &e.parts[id]
}

// settle counts what was sent to the stream since it was last settled and returns how far that is.
func (e *expectation) settle(byKey bool, id int) (position uint64) {
	f := e.stream(byKey, id)
	position = e.position(byKey, id)
	if f.joined > 0 && f.counted < position {
		e.count(byKey, id, span{f.counted, position}, int64(f.joined))
	}
	f.counted = position
	return position
}

// count adds the span's messages, each times n, to the phases that they were due in.
func (e *expectation) count(byKey bool, id int, s span, n int64) {
	marks := e.ledger.begun()
	for phase := range min(len(marks), len(e.counts)) {
		from, to := marks[phase].of(byKey, id), s.to
		if phase+1 < len(marks) {
			to = min(to, marks[phase+1].of(byKey, id))
		}
		if from = max(from, s.from); from < to {
			e.counts[phase] += int64(to-from) * n
		}
	}
}

// join adds a client from message base on.
func (e *expectation) join(byKey bool, id int, base uint64, prompt bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	position := e.settle(byKey, id)
	if base < position {
		e.count(byKey, id, span{base, position}, 1)
	}
	e.change(byKey, id, 1, prompt)
}

// leave takes a client away and returns how far the stream has been sent: the client expects nothing from there on.
func (e *expectation) leave(byKey bool, id int, prompt bool) (position uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	position = e.settle(byKey, id)
	e.change(byKey, id, -1, prompt)
	return position
}

func (e *expectation) change(byKey bool, id int, n int32, prompt bool) {
	f := e.stream(byKey, id)
	f.joined += n
	if prompt {
		f.prompt += n
	}
}

// take returns the deliveries by load phase that became expected since the last call.
func (e *expectation) take() []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.parts {
		e.settle(false, id)
	}
	for id := range e.keys {
		e.settle(true, id)
	}
	counts := e.counts
	e.counts = make([]int64, len(counts))
	return counts
}

// prompt is the number of clients that a message is for and that read it as soon as they can.
func (e *expectation) prompt(partition, key uint32) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := int64(e.parts[partition].prompt)
	if key != NoKey {
		n += int64(e.keys[key].prompt)
	}
	return n
}

// expected hands the counts since the last call to add. Of a conflated topic nobody can tell which are still to come.
func (s *swarm) expected(add func(name string, label results.Label, n int64)) {
	for i, e := range s.expectations {
		for phase, n := range e.take() {
			if n != 0 && s.topo.producers[i].conflation == 0 {
				add(results.CountExpected, results.Label{Phase: s.topo.phases[phase].Name, Producer: s.topo.producers[i].plan.Name}, n)
			}
		}
	}
}

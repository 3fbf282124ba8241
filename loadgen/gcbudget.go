package loadgen

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// The memory that collections are put off by while the load goes on, above what is in use when it begins.
const (
	gcBudgetLeast = 256 << 20 // bytes
	gcBudgetLive  = 2         // or so many times the live heap, where that is more
	gcBudgetShare = 0.5       // but of the memory that is available at most
	gcBudgetWorth = 64 << 20  // with less than this it is not worth it: the heap's growth bounds collections as before
)

// What bounds collections, as the record says it.
const (
	gcByLimit  = "memory limit"
	gcByGrowth = "heap growth"
	gcByGOGC   = "GOGC"
	gcByUser   = "GOMEMLIMIT"
	// gcByGrowthUser is where the user's limit is so high that by itself it would bound nothing.
	gcByGrowthUser = "heap growth, since GOMEMLIMIT is off or above what the machine has to spare"
)

// gcBudget bounds the garbage collector of this process by memory rather than by the heap's rate of growth while the load
// goes on, so that on most runs there is no collection in a measure phase at all (Go, A Guide to the Go Garbage Collector,
// "Memory limit": GOGC=off with a limit collects as late as the limit allows). What the user has set with GOGC or GOMEMLIMIT
// stays, and bounds alone if the machine can bear it. A nil budget leaves the collector alone.
type gcBudget struct {
	getenv    func(string) string
	available func() (int64, bool) // bytes; false where nobody knows

	mu      sync.Mutex
	held    bool
	bound   string
	percent int   // to go back to
	before  int64 // limit to go back to
	limit   int64
	live    int64
}

func newGCBudget() *gcBudget { return &gcBudget{getenv: os.Getenv, available: availableMemory} }

// hold collects once and bounds what follows, until release.
func (b *gcBudget) hold() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		return
	}
	runtime.GC()
	b.bound, b.live = gcByGrowth, readMetric("/gc/heap/live:bytes")
	switch {
	case b.getenv("GOGC") != "":
		b.bound = gcByGOGC
		return
	case b.getenv("GOMEMLIMIT") != "":
		limit := debug.SetMemoryLimit(-1)
		if !b.bears(limit) {
			b.bound = gcByGrowthUser
			return
		}
		b.bound, b.limit = gcByUser, limit
		b.percent, b.before, b.held = debug.SetGCPercent(-1), limit, true
		return
	}
	limit, ok := b.affordable()
	if !ok {
		return
	}
	b.bound, b.limit = gcByLimit, limit
	b.before = debug.SetMemoryLimit(limit)
	b.percent, b.held = debug.SetGCPercent(-1), true
}

// renew raises the limit after a collection: what is live may have grown, as accounts do, and a limit that is hardly above
// it would have the collector run all the time.
func (b *gcBudget) renew() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.held || b.bound != gcByLimit {
		return
	}
	limit, ok := b.affordable()
	switch {
	case !ok:
		b.restore()
		b.bound, b.limit = gcByGrowth, 0
	case limit > b.limit:
		debug.SetMemoryLimit(limit)
		b.limit = limit
	}
}

// release gives the collector back as it was. Idempotent.
func (b *gcBudget) release() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		b.restore()
	}
}

// restore is release, locked and held.
func (b *gcBudget) restore() {
	b.held = false
	if b.bound == gcByLimit {
		debug.SetMemoryLimit(b.before)
	}
	debug.SetGCPercent(b.percent)
}

// told is what the record says of the bound; it holds after release too.
func (b *gcBudget) told() (bound string, limit, live int64) {
	if b == nil {
		return gcByGrowth, 0, 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bound, b.limit, b.live
}

// affordable is the limit that the budget comes to now; ok is false where the machine has too little for one.
func (b *gcBudget) affordable() (limit int64, ok bool) {
	budget := max(gcBudgetLeast, gcBudgetLive*readMetric("/gc/heap/live:bytes"))
	if free, known := b.available(); known {
		budget = min(budget, int64(gcBudgetShare*float64(free)))
	}
	return memoryInUse() + budget, budget >= gcBudgetWorth
}

// bears reports whether a limit of the user's can be all that bounds collections. Where nobody knows how much memory there
// is, that is one which weir would set itself.
func (b *gcBudget) bears(limit int64) bool {
	free, known := b.available()
	if !known {
		own, ok := b.affordable()
		return ok && limit <= own
	}
	return limit <= memoryInUse()+int64(gcBudgetShare*float64(free))
}

// memoryInUse is what a limit is held against, less what the heap has free for what is to come.
func memoryInUse() int64 {
	return readMetric("/memory/classes/total:bytes") - readMetric("/memory/classes/heap/released:bytes") - readMetric("/memory/classes/heap/free:bytes")
}

func readMetric(name string) int64 {
	sample := []metrics.Sample{{Name: name}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(min(sample[0].Value.Uint64(), math.MaxInt64))
}

package nulltarget

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Faults is what the target does wrong, and when. The zero value does nothing wrong. Records are data messages alone: the
// markers that weir joins and ends streams by pass as they are, and are counted by none of the periods.
type Faults struct {
	// Delay is how long after its arrival from Kafka each record is written, by an absolute deadline: never earlier.
	Delay time.Duration
	// Of each client's records, counted from 1, each DropEach-th is not delivered; of each DuplicateEach one is delivered
	// twice; of each SwapEach one is delivered right behind the next. 0 is none; where one record would suffer several, it is
	// dropped rather than doubled, and doubled rather than swapped. With the same period they never meet.
	DropEach, DuplicateEach, SwapEach int
	// Capacity is how many deliveries a second are written at most, markers included, by a bucket of one token; what is more
	// waits, in order. 0 is unbounded.
	Capacity int
	// From StopAfter to StopAfter+StopFor, counted from the first data record's arrival from Kafka, nothing is written.
	StopAfter, StopFor time.Duration
}

// Deed is what becomes of one record on its way to one client.
type Deed int

// The deeds.
const (
	Pass      Deed = iota
	Drop           // not delivered
	Duplicate      // delivered twice
	Swap           // delivered right behind the client's next record
)

// leastPeriod keeps the deeds of one period, and the record that a swapped one waits for, apart.
const leastPeriod = 4

// longest bounds a delay and a stop: a target that seems dead tests nothing.
const longest = time.Minute

// maxCapacity keeps the time of one delivery a whole number of nanoseconds that means something.
const maxCapacity = 1_000_000

// Of says what becomes of a client's k-th record, counted from 1.
func (f Faults) Of(k int64) Deed {
	at := func(each int, quarter int) bool {
		return each > 0 && k%int64(each) == int64(each*quarter/4)
	}
	switch {
	case at(f.DropEach, 0):
		return Drop
	case at(f.DuplicateEach, 1):
		return Duplicate
	case at(f.SwapEach, 2):
		return Swap
	}
	return Pass
}

// timed reports whether records are written at instants of their own.
func (f Faults) timed() bool { return f.Delay > 0 || f.Capacity > 0 || f.StopFor > 0 }

// altering reports whether records are lost, doubled or swapped.
func (f Faults) altering() bool { return f.DropEach > 0 || f.DuplicateEach > 0 || f.SwapEach > 0 }

// Validate returns all that is wrong, in the words of the flags.
func (f Faults) Validate() error {
	var errs []error
	for _, p := range f.counts() {
		switch {
		case p.flag == flagCapacity && (p.value < 0 || p.value > maxCapacity):
			errs = append(errs, fmt.Errorf("--%s %d is no rate that can be kept (write 1 to %d, or 0 for none)", p.flag, p.value, maxCapacity))
		case p.flag != flagCapacity && p.value != 0 && p.value < leastPeriod:
			errs = append(errs, fmt.Errorf("--%s %d is too often to be told apart (write %d or more, or 0 for never)", p.flag, p.value, leastPeriod))
		}
	}
	for _, p := range f.spans() {
		if p.value < 0 || p.value > longest {
			errs = append(errs, fmt.Errorf("--%s %v is out of range (write 0s to %v)", p.flag, p.value, longest))
		}
	}
	return errors.Join(errs...)
}

// The flags of the faults.
const (
	flagDelay     = "delay"
	flagDrop      = "drop-each"
	flagDuplicate = "duplicate-each"
	flagSwap      = "swap-each"
	flagCapacity  = "capacity"
	flagStopAfter = "stop-after"
	flagStopFor   = "stop-for"
)

type countFlag struct {
	flag  string
	value int
}

func (f Faults) counts() []countFlag {
	return []countFlag{{flagDrop, f.DropEach}, {flagDuplicate, f.DuplicateEach}, {flagSwap, f.SwapEach}, {flagCapacity, f.Capacity}}
}

type spanFlag struct {
	flag  string
	value time.Duration
}

func (f Faults) spans() []spanFlag {
	return []spanFlag{{flagDelay, f.Delay}, {flagStopAfter, f.StopAfter}, {flagStopFor, f.StopFor}}
}

// Args are the flags that plant the faults, as Register reads them.
func (f Faults) Args() []string {
	var args []string
	for _, p := range f.counts() {
		if p.value != 0 {
			args = append(args, "--"+p.flag, strconv.Itoa(p.value))
		}
	}
	for _, p := range f.spans() {
		if p.value != 0 {
			args = append(args, "--"+p.flag, p.value.String())
		}
	}
	return args
}

// Flags is the part of pflag.FlagSet that Register needs.
type Flags interface {
	IntVar(p *int, name string, value int, usage string)
	DurationVar(p *time.Duration, name string, value time.Duration, usage string)
}

// Register makes the faults flags of a command.
func (f *Faults) Register(flags Flags) {
	flags.DurationVar(&f.Delay, flagDelay, 0, "how long each record is held back")
	flags.IntVar(&f.DropEach, flagDrop, 0, "lose each N-th record of a client")
	flags.IntVar(&f.DuplicateEach, flagDuplicate, 0, "deliver one of N records of a client twice")
	flags.IntVar(&f.SwapEach, flagSwap, 0, "deliver one of N records of a client behind the next")
	flags.IntVar(&f.Capacity, flagCapacity, 0, "deliveries a second at most")
	flags.DurationVar(&f.StopAfter, flagStopAfter, 0, "when the stop begins, after the first data record")
	flags.DurationVar(&f.StopFor, flagStopFor, 0, "how long nothing is delivered")
}

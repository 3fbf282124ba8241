package nulltarget

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// TestDeeds: each period has its own place in which its deed is done, and no other.
func TestDeeds(t *testing.T) {
	for _, c := range []struct {
		name string
		f    Faults
		want map[int64]Deed // of the first 16
	}{
		{"nothing", Faults{}, nil},
		{"drop", Faults{DropEach: 8}, map[int64]Deed{8: Drop, 16: Drop}},
		{"duplicate", Faults{DuplicateEach: 8}, map[int64]Deed{2: Duplicate, 10: Duplicate}},
		{"swap", Faults{SwapEach: 8}, map[int64]Deed{4: Swap, 12: Swap}},
		{"all", Faults{DropEach: 8, DuplicateEach: 8, SwapEach: 8},
			map[int64]Deed{2: Duplicate, 4: Swap, 8: Drop, 10: Duplicate, 12: Swap, 16: Drop}},
		{"least", Faults{DropEach: 4, DuplicateEach: 4, SwapEach: 4}, map[int64]Deed{
			1: Duplicate, 2: Swap, 4: Drop, 5: Duplicate, 6: Swap, 8: Drop, 9: Duplicate, 10: Swap, 12: Drop, 13: Duplicate, 14: Swap, 16: Drop}},
		{"drop before duplicate", Faults{DropEach: 5, DuplicateEach: 20}, map[int64]Deed{5: Drop, 10: Drop, 15: Drop}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for k := int64(1); k <= 16; k++ {
				if got := c.f.Of(k); got != c.want[k] {
					t.Errorf("record %d: got %d; want %d", k, got, c.want[k])
				}
			}
		})
	}
}

// TestFlagsAreRead: what Args plants is what Register reads.
func TestFlagsAreRead(t *testing.T) {
	for _, want := range []Faults{
		{},
		{Delay: 20 * time.Millisecond, DropEach: 4, DuplicateEach: 5, SwapEach: 6, Capacity: 7, StopAfter: time.Second, StopFor: 500 * time.Millisecond},
	} {
		var got Faults
		flags := pflag.NewFlagSet("null-target", pflag.ContinueOnError)
		got.Register(flags)
		if err := flags.Parse(want.Args()); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// TestWrongFaults: all that is wrong is told at once, by flag.
func TestWrongFaults(t *testing.T) {
	err := Faults{Delay: -time.Second, DropEach: 1, DuplicateEach: -4, SwapEach: 3, Capacity: 2_000_000, StopAfter: -1, StopFor: time.Hour}.Validate()
	if err == nil {
		t.Fatal("got no error")
	}
	var flags []string
	for line := range strings.Lines(err.Error()) {
		flags = append(flags, strings.Fields(line)[0])
	}
	if want := []string{"--drop-each", "--duplicate-each", "--swap-each", "--capacity", "--delay", "--stop-after", "--stop-for"}; !slices.Equal(flags, want) {
		t.Errorf("got %q; want %q", flags, want)
	}
	if err := (Faults{DropEach: leastPeriod, Capacity: maxCapacity, Delay: longest}).Validate(); err != nil {
		t.Errorf("got %v; want none at the limits", err)
	}
}

// TestIsData: a stamp's kind tells data from markers; a value without one is no data, nor one that is cut off behind the mark.
func TestIsData(t *testing.T) {
	for value, want := range map[string]bool{"~W1dAAAA": true, "x{~W1d": true, "~W1jAAAA": false, "~W1fAAAA": false, "~W1": false, "": false, "d": false} {
		if got := isData([]byte(value)); got != want {
			t.Errorf("%q: got %v; want %v", value, got, want)
		}
	}
}

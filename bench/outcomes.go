package main

import (
	"fmt"
	"strings"

	"github.com/weirbench/weir/internal/benchtable"
	"github.com/weirbench/weir/report"
)

// noHealth stands in a tally for a run that came to nothing.
const noHealth = "none"

// outcomes is what became of a part's runs. Runs whose health is invalid stay in the cells: to leave out those that were late
// would flatter a figure of lateness. The note below the table says which they are.
type outcomes struct {
	health  map[string]int
	invalid []string // which runs
	faults  []string
}

// ran notes a run that came to its end; which names its round, and its side where there are two.
func (o *outcomes) ran(which string, state report.HealthState) {
	o.count(string(state))
	if state == report.HealthInvalid {
		o.invalid = append(o.invalid, which)
	}
}

// failed notes a run that has no figures.
func (o *outcomes) failed(which string, err error) {
	o.count(noHealth)
	o.faults = append(o.faults, fmt.Sprintf("%s: %v", which, err))
}

func (o *outcomes) count(health string) {
	if o.health == nil {
		o.health = map[string]int{}
	}
	o.health[health]++
}

// note writes below the table how the runs, which what names, came out.
func (o *outcomes) note(t *benchtable.Table, what string) {
	said := fmt.Sprintf("%s; health of the runs: %s.", what, tally(o.health))
	if len(o.invalid) > 0 {
		said += fmt.Sprintf(" Invalid, and in the cells all the same: %s.", strings.Join(o.invalid, "; "))
	}
	t.Notes = append(append(t.Notes, said), o.faults...)
}

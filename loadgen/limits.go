package loadgen

import (
	"math"

	"github.com/weirbench/weir/internal/machine"
)

// tableLimit is how many descriptors a table of this process takes; 0 where that is not known. Package os has raised the soft
// limit to the hard one.
func tableLimit() int {
	soft, _, err := machine.DescriptorLimits()
	if err != nil {
		return 0
	}
	return int(min(soft, math.MaxInt32))
}

// ephemeralPorts is how many ports the kernel gives out for connections from one address to another; 0 where that is not known.
func ephemeralPorts() int {
	n, err := machine.EphemeralPorts(machine.Files())
	if err != nil {
		return 0
	}
	return n
}

// availableMemory is the smaller of what the kernel says is available and what the control groups leave.
func availableMemory() (bytes int64, known bool) {
	m, known := machine.AvailableMemory(machine.Files())
	return m.Bytes, known
}

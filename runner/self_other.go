//go:build !linux

package runner

import "github.com/weirbench/weir/testbed"

// selfUse is not known on this system.
func selfUse() (testbed.ResourceUse, error) { return testbed.ResourceUse{}, nil }

// busyWatch is not known on this system.
type busyWatch struct{}

type busyShares struct {
	all, processes float64
	cores          int
}

func (b *busyWatch) share() (busyShares, bool) { return busyShares{}, false }

func readNetCounts() netCounts { return netCounts{} }

func machine() (cpu, kernel string, memory int64) { return "", "", 0 }

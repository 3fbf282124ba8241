//go:build !linux

package runner

import "github.com/weirbench/weir/testbed"

// selfUse is not known on this system.
func selfUse() (testbed.ResourceUse, error) { return testbed.ResourceUse{}, nil }

// busyWatch is not known on this system.
type busyWatch struct{}

func (b *busyWatch) share() (float64, bool) { return 0, false }

func machine() (cpu, kernel string, memory int64) { return "", "", 0 }

//go:build !linux

package runner

import "github.com/weirbench/weir/testbed"

// selfUse is not known on this system.
func selfUse() (testbed.ResourceUse, error) { return testbed.ResourceUse{}, nil }

// totalMemory is not known on this system.
func totalMemory() int64 { return 0 }

//go:build !linux

package testbed

// Usage is known on Linux alone: zero here.
func Usage([]int) (ResourceUse, error) { return ResourceUse{}, nil }

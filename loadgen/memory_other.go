//go:build !linux

package loadgen

// availableMemory is not known on this system.
func availableMemory() (bytes int64, known bool) { return 0, false }

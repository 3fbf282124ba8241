//go:build !linux

package loadgen

// threadTime is not known on this system.
type threadTime struct{ ran, waited int64 }

func threadTimes() map[int]threadTime { return nil }

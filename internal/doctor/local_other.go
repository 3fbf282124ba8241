//go:build !linux

package doctor

import "context"

func freeBytes(string) (uint64, bool) { return 0, false }

func clockState() (ClockState, bool) { return ClockState{}, false }

func tryTiming(context.Context) (Timing, bool) { return Timing{}, false }

func tryStamps(context.Context) (known bool, err error) { return false, nil }

//go:build !linux

package doctor

import "context"

func descriptorLimits() (soft, hard uint64, ok bool) { return 0, 0, false }

func freeBytes(string) (uint64, bool) { return 0, false }

func clockState() (ClockState, bool) { return ClockState{}, false }

func processorShares(context.Context) (busy, stolen float64, ok bool) { return 0, 0, false }

func tryTiming(context.Context) (Timing, bool) { return Timing{}, false }

func tryStamps(context.Context) (known bool, err error) { return false, nil }

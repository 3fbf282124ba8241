//go:build !linux

package main

import "github.com/weirbench/weir/internal/selftest"

// stoppedRunner is nil: here a process that is stopped would outlive one that is killed.
func (b *bench) stoppedRunner() selftest.StoppedRunner { return nil }

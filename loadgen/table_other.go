//go:build !linux

package loadgen

import "errors"

// TryTable reports that threads have no descriptor tables of their own on this system.
func TryTable() error { return errors.ErrUnsupported }

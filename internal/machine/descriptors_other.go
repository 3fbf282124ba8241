//go:build !linux

package machine

import "errors"

// DescriptorLimits are not known on this system.
func DescriptorLimits() (soft, hard uint64, err error) { return 0, 0, errors.ErrUnsupported }

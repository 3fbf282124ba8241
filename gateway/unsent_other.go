//go:build !linux

package gateway

import "net"

// boundUnsent leaves the kernel's own bound.
func boundUnsent(net.Conn) {}

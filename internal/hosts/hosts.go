// Package hosts says which hosts may be loaded: those of this machine, and those that the user allowed by name. It makes
// no connection and starts no goroutine; where it looks names up the caller says so.
//
// A name is checked twice: before anything is made (Check), and at each connection with the address that it is made to
// (Permit), since a name may resolve to something else each time.
package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
)

// ErrUnknown means that a name could not be looked up.
var ErrUnknown = errors.New("resolve host")

// RefusedError is a host that is neither on this machine nor allowed.
type RefusedError struct {
	Host string
	// Address is what the host resolved to, where it was looked up; else empty.
	Address string
}

// Error names the host and how it is allowed.
func (e *RefusedError) Error() string {
	what := e.Host + " is not a loopback address"
	if e.Address != "" && e.Address != e.Host {
		what = fmt.Sprintf("%s is %s now, which is not a loopback address", e.Host, e.Address)
	}
	return fmt.Sprintf("%s: load goes to this machine alone, unless the host is allowed by name (--allow-target %s)", what, e.Host)
}

// Loopback reports whether the host is this machine as it is spelled: localhost, or a loopback address.
func Loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && plain(ip).IsLoopback()
}

// Allowed reports whether the host, as it is spelled, is one of those allowed; addresses may be spelled otherwise.
func Allowed(host string, allowed []string) bool {
	ip, err := netip.ParseAddr(host)
	return slices.ContainsFunc(allowed, func(a string) bool {
		other, otherErr := netip.ParseAddr(a)
		return a == host || err == nil && otherErr == nil && plain(other) == plain(ip)
	})
}

// plain is the address without a zone, and as IPv4 where it is one.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }

// Check refuses a host that has no address on this machine and is not allowed, with a *RefusedError; that a name could not
// be looked up is ErrUnknown. A name with some other address passes: Permit is for each of them. A nil resolver is the
// system's.
func Check(ctx context.Context, resolver *net.Resolver, host string, allowed []string) error {
	if Loopback(host) || Allowed(host, allowed) {
		return nil
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return &RefusedError{Host: host}
	}
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupHost(ctx, host)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	for _, address := range addresses {
		if Loopback(address) || Allowed(address, allowed) {
			return nil
		}
	}
	return &RefusedError{Host: host, Address: addresses[0]} // a look-up without an error has one at least
}

// Permit refuses an address, ip:port, that a connection to the host is about to be made to, unless it is loopback or
// either is allowed.
func Permit(host, address string, allowed []string) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("check the target's address: %w", err)
	}
	ip := plain(to.Addr())
	if ip.IsLoopback() || Allowed(host, allowed) || Allowed(ip.String(), allowed) {
		return nil
	}
	return &RefusedError{Host: host, Address: ip.String()}
}

// Dial connects as net.Dialer does, to permitted addresses alone.
func Dial(ctx context.Context, network, hostport string, allowed []string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		return Permit(host, address, allowed)
	}}
	return d.DialContext(ctx, network, hostport)
}

package loadgen

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// dialling is a connection of a poller that is not open yet. It connects, sends the handshake's request, reads the answer
// and subscribes, each as far as the socket takes it, so that a dial holds no goroutine.
type dialling struct {
	client    *client
	began     time.Time // when its name was looked up; once an address has been tried, when the first was
	tried     bool
	to        call
	host      string           // as the target's URL spells it
	addresses []netip.AddrPort // of the target that are still to be tried; at least one
	target    netip.AddrPort   // the one that is tried
	up        *upgrade
	sent      int    // of up.request, to target
	failures  uint64 // dials of the client in a row that failed before
	release   func() // lets another dial begin

	// The session has begun once the handshake is over.
	begun    bool
	askedAt  int64  // when the subscription was made, Unix ns
	greeting []byte // what of it is still to be sent
	early    []byte // what came right behind the handshake's answer
}

// told is the reason of a dial's failure as it is shown.
func (d *dialling) told(why error) error {
	var resp *http.Response
	if answered, ok := errors.AsType[*answerError](why); ok {
		resp = answered.resp
	}
	return dialError(d.to.shown, resp, why)
}

// newDialling prepares a client's dial: the target's name is looked up here.
func (s *swarm) newDialling(ctx context.Context, c *client, failures uint64) (*dialling, error) {
	d := &dialling{client: c, began: time.Now(), to: s.callOf(c), failures: failures}
	in := s.instanceOf(c)
	var err error
	if in.numeric.IsValid() {
		d.host, d.addresses = in.numeric.Addr().String(), []netip.AddrPort{in.numeric}
	} else if d.host, d.addresses, err = s.dialer.lookUp(ctx, in.url); err != nil {
		return d, err
	}
	d.up, err = newUpgrade(d.to, s.dialer.websocket.Subprotocols)
	return d, err
}

// lookUp resolves the host that a URL names.
func (d *dialer) lookUp(ctx context.Context, target string) (host string, addresses []netip.AddrPort, err error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", nil, errors.New("its address can't be read") // err has the whole, which may hold secrets
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	resolver := cmp.Or(d.resolver, net.DefaultResolver)
	port, err := resolver.LookupPort(ctx, "tcp", cmp.Or(u.Port(), "80"))
	if err != nil {
		return u.Hostname(), nil, err
	}
	found, err := resolver.LookupNetIP(ctx, "ip", u.Hostname())
	for _, ip := range found {
		addresses = append(addresses, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	if err == nil && len(addresses) == 0 {
		err = errors.New("its name has no address")
	}
	return u.Hostname(), addresses, err
}

// numericTarget is the target's address where its URL spells one, without a zone; else it is invalid, and what the URL names
// is resolved at each dial.
func numericTarget(target string) netip.AddrPort {
	u, err := url.Parse(target)
	if err != nil {
		return netip.AddrPort{}
	}
	address, err := netip.ParseAddrPort(net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
	if err != nil || address.Addr().Zone() != "" {
		return netip.AddrPort{}
	}
	return address
}

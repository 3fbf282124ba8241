package loadgen

import (
	"cmp"
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
	began    time.Time
	to       call
	up       *upgrade
	failures uint64 // dials of the client in a row that failed before
	release  func() // lets another dial begin

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

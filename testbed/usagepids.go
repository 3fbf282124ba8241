package testbed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/weirbench/weir/internal/hosts"
)

// usePids has the processes of these numbers read as the target's, as they are now.
func (t *Target) usePids(ctx context.Context, target string, pids []int, o Options) error {
	u, err := url.Parse(target)
	if err != nil {
		return err
	}
	if !onThisMachine(ctx, u.Hostname()) {
		return fmt.Errorf("gateway.usage.pids are processes of this machine, and %s is another (write usage: {metrics: …})", u.Hostname())
	}
	procs, err := follow(pids, "")
	if err == nil {
		_, err = procs.use()
	}
	if err != nil {
		return fmt.Errorf("%w (mend gateway.usage.pids)", err)
	}
	t.procs = procs
	t.doubtPids(u, pids, o)
	return nil
}

// doubtPids warns where another process takes the connections than those that are to be measured. It may be right: a proxy
// may stand before the gateway, or Docker's.
func (t *Target) doubtPids(u *url.URL, pids []int, o Options) {
	port, err := strconv.Atoi(u.Port())
	if err != nil || !hosts.Loopback(u.Hostname()) {
		return
	}
	var stranger *strangerError
	for _, pid := range pids {
		if _, err := listened(u.Hostname(), port, pid, ""); !errors.As(err, &stranger) {
			return
		}
	}
	if stranger.pid != 0 {
		o.log(fmt.Sprintf("warning: none of gateway.usage.pids listens at %s, %s does: their use is the gateway's only if that is a proxy before it",
			u.Host, processName(stranger.pid)))
	}
}

// onThisMachine reports whether the host is a name or an address of this machine.
func onThisMachine(ctx context.Context, host string) bool {
	if hosts.Loopback(host) {
		return true
	}
	found, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	own, ownErr := net.InterfaceAddrs()
	if err != nil || ownErr != nil {
		return false
	}
	for _, address := range own {
		ip, _, err := net.ParseCIDR(address.String())
		for _, a := range found {
			if err == nil && a.IP.Equal(ip) {
				return true
			}
		}
	}
	return false
}

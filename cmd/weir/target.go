package main

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weirbench/weir/internal/hosts"
	"github.com/weirbench/weir/scenarios"
)

// lookUpTime bounds the resolution of the target's name before a run.
const lookUpTime = 5 * time.Second

// checkHosts refuses what --allow-target does not take: anything but a host alone.
func checkHosts(hosts []string) error {
	for _, host := range hosts {
		if _, err := netip.ParseAddr(host); err == nil {
			continue
		}
		mend := host
		if u, err := url.Parse(host); err == nil && strings.Contains(host, "://") {
			mend = u.Hostname()
		}
		mend, _, _ = strings.Cut(mend, "/")
		if h, _, err := net.SplitHostPort(mend); err == nil {
			mend = h
		}
		mend = strings.Trim(mend, "[]")
		switch {
		case mend == "" || net.ParseIP(mend) == nil && strings.ContainsAny(mend, " :?#@"):
			return usagef("--allow-target %q is not a host (write --allow-target gateway.example.org, or an IP address)", host)
		case mend != host:
			return usagef("--allow-target %q is not a host alone (write --allow-target %s)", host, mend)
		}
	}
	return nil
}

// checkTarget refuses, before anything is made, a target that is not on this machine and not allowed. A name that can't be
// looked up is left to the run, which checks each connection anyway.
func checkTarget(ctx context.Context, plan *scenarios.Plan, allowed []string) error {
	host := targetHost(plan)
	if host == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookUpTime)
	defer cancel()
	var refused *hosts.RefusedError
	if errors.As(hosts.Check(ctx, nil, host, allowed), &refused) {
		return usagef("the target %s is not on this machine: load goes to loopback addresses alone, unless the host is allowed by name (--allow-target %s)",
			host, host)
	}
	return nil
}

// targetNote says of a plan whose target may not be on this machine what its run needs; empty where it needs nothing.
func targetNote(plan *scenarios.Plan) string {
	host := targetHost(plan)
	if host == "" || hosts.Loopback(host) {
		return ""
	}
	return "the target " + host + " is no loopback address: to run it, allow it (--allow-target " + host + ")"
}

// targetHost is the host of an external target, without a port; empty where weir starts the target.
func targetHost(plan *scenarios.Plan) string {
	u, err := url.Parse(plan.Gateway.URL)
	if plan.Gateway.Target != scenarios.TargetExternal || err != nil {
		return ""
	}
	return u.Hostname()
}

// checkGiven refuses a flag that was given with an empty value, which would silently be the default.
func checkGiven(cmd *cobra.Command, flag, mend string) error {
	if f := cmd.Flags().Lookup(flag); f.Changed && f.Value.String() == "" {
		return usagef("--%s is empty (write --%s %s, or leave it out)", flag, flag, mend)
	}
	return nil
}

// checkAllow refuses a wrong --allow-target.
func checkAllow(cmd *cobra.Command, hosts []string) error {
	if cmd.Flags().Changed("allow-target") && len(hosts) == 0 {
		hosts = []string{""}
	}
	return checkHosts(hosts)
}

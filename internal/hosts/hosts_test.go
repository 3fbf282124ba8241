package hosts

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAsSpelled(t *testing.T) {
	for _, c := range []struct {
		host     string
		allowed  []string
		loopback bool
		isGiven  bool
	}{
		{"localhost", nil, true, false},
		{"LocalHost", nil, true, false},
		{"127.9.9.9", nil, true, false},
		{"::1", nil, true, false},
		{"::ffff:127.0.0.1", nil, true, false},
		{"192.0.2.1", []string{"192.0.2.2"}, false, false},
		{"192.0.2.1", []string{"::ffff:192.0.2.1"}, false, true},
		{"2001:db8::1", []string{"2001:db8:0::1"}, false, true},
		{"fe80::1%eth0", []string{"fe80::1"}, false, true},
		{"gateway.example", []string{"gateway.example"}, false, true},
		{"gateway.example", []string{"example"}, false, false},
		{"localhost.example", nil, false, false},
		{"", []string{"a"}, false, false},
	} {
		if got := Loopback(c.host); got != c.loopback {
			t.Errorf("%q: got loopback %v; want %v", c.host, got, c.loopback)
		}
		if got := Allowed(c.host, c.allowed); got != c.isGiven {
			t.Errorf("%q among %q: got %v; want %v", c.host, c.allowed, got, c.isGiven)
		}
	}
}

func TestPermit(t *testing.T) {
	for _, c := range []struct {
		host, address string
		allowed       []string
		want          string // of the error; empty for none
	}{
		{"localhost", "127.0.0.1:80", nil, ""},
		{"localhost", "[::1]:80", nil, ""},
		{"h", "[::ffff:127.0.0.9]:80", nil, ""},
		{"h", "10.0.0.1:80", nil, "h is 10.0.0.1 now, which is not a loopback address: load goes to this machine alone, unless the host is allowed by name (--allow-target h)"},
		{"10.0.0.1", "10.0.0.1:80", nil, "10.0.0.1 is not a loopback address: load goes to this machine alone, unless the host is allowed by name (--allow-target 10.0.0.1)"},
		{"localhost", "10.0.0.1:80", nil, "localhost is 10.0.0.1 now"},
		{"h", "10.0.0.1:80", []string{"h"}, ""},
		{"h", "10.0.0.1:80", []string{"other"}, "(--allow-target h)"},
		{"h", "10.0.0.1:80", []string{"10.0.0.1"}, ""},
		{"h", "[::ffff:10.0.0.1]:80", []string{"10.0.0.1"}, ""},
		{"h", "[fe80::1%eth0]:80", []string{"fe80::1"}, ""},
		{"h", "nonsense", []string{"h"}, "check the target's address"},
	} {
		err := Permit(c.host, c.address, c.allowed)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s at %s with %v allowed: got %v; want %q", c.host, c.address, c.allowed, err, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for host, refused := range map[string]bool{
		"127.0.0.1": false, "::1": false, "localhost": false, "192.0.2.7": false, "192.0.2.8": true, "2001:db8::1": true,
	} {
		err := Check(t.Context(), nil, host, []string{"192.0.2.7"})
		var refusal *RefusedError
		if got := errors.As(err, &refusal); got != refused || (err != nil) != refused {
			t.Errorf("%s: got %v; want refused %v", host, err, refused)
		}
	}
}

// TestCheckUnknown: that nobody knows a name is told apart from a refusal, and a name that is allowed is not looked up.
func TestCheckUnknown(t *testing.T) {
	var asked atomic.Bool // both kinds of addresses are asked for at once
	mute := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Store(true)
		return nil, errors.New("no resolver here")
	}}
	if err := Check(t.Context(), mute, "gateway.example.", []string{"gateway.example."}); err != nil || asked.Load() {
		t.Errorf("got %v, looked up %v; want an allowed name to pass as it is", err, asked.Load())
	}
	err := Check(t.Context(), mute, "gateway.example.", nil)
	var refusal *RefusedError
	if !errors.Is(err, ErrUnknown) || errors.As(err, &refusal) || !asked.Load() {
		t.Errorf("got %v; want ErrUnknown", err)
	}
}

// TestDial: the address counts that a connection is made to.
func TestDial(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), "tcp", l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	var refusal *RefusedError
	if _, err := Dial(t.Context(), "tcp", "192.0.2.1:9", nil); !errors.As(err, &refusal) {
		t.Errorf("got %v; want a refusal before anything is sent", err)
	}
}

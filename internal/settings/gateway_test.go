package settings

import (
	"fmt"
	"strings"
	"testing"
)

// TestLogsShowNoPassword: what is printed of settings holds no password of a URL.
func TestLogsShowNoPassword(t *testing.T) {
	g := Gateway{Trace: Trace{Endpoint: "https://u:hunter2@collector.example.org", Ratio: 0.5}, Tokens: &Tokens{JWKSURL: "https://u:hunter2@keys.example.org"}}
	got := fmt.Sprintf("%+v %v", g, g.Trace)
	if strings.Contains(got, "hunter2") || !strings.Contains(got, "collector.example.org") || !strings.Contains(got, "keys.example.org") {
		t.Errorf("got %s; want the hosts and no password", got)
	}
}

// TestResumesAny: with permissions, resuming is one of them.
func TestResumesAny(t *testing.T) {
	for _, tt := range []struct {
		g    Gateway
		want bool
	}{
		{Gateway{}, true},
		{Gateway{Resume: Resume{Off: true}}, false},
		{Gateway{Permissions: []Permission{{Subscribe: true}}}, false},
		{Gateway{Permissions: []Permission{{Subscribe: true}, {Resume: true}}}, true},
		{Gateway{Resume: Resume{Off: true}, Permissions: []Permission{{Resume: true}}}, false},
	} {
		if got := tt.g.ResumesAny(); got != tt.want {
			t.Errorf("%+v: got %t; want %t", tt.g, got, tt.want)
		}
	}
}

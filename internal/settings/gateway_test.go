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

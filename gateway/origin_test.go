package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/weirbench/weir/internal/settings"
)

func TestOrigins(t *testing.T) {
	const own = "gw.example.com:8080"
	s := &server{cfg: &Config{}}
	for _, tt := range []struct {
		allow, origin, host string
		want                bool
	}{
		{"https://app.example.com", "https://app.example.com", own, true},
		{"https://app.example.com", "HTTPS://APP.Example.COM", own, true},
		{"HTTPS://App.example.com", "https://app.example.com", own, true},
		{"https://app.example.com", "https://app.example.com:443", own, true},
		{"https://app.example.com:443", "https://app.example.com", own, true},
		{"http://app.example.com:80", "http://app.example.com", own, true},
		{"https://app.example.com", "https://app.example.com:8443", own, false},
		{"https://app.example.com", "https://app.example.com:80", own, false},
		{"https://app.example.com", "http://app.example.com", own, false},
		{"https://app.example.com", "https://app.example.com.evil.com", own, false},
		{"https://app.example.com", "https://evil.com/https://app.example.com", own, false},
		{"https://app.example.com", "https://app.example.com@evil.com", own, false},
		{"https://app.example.com", "app.example.com", own, false},
		{"https://app.example.com", "https://app.example.com, https://evil.com", own, false},
		{"https://*.example.com", "https://a.example.com", own, true},
		{"https://*.example.com", "https://A.B.example.com", own, true},
		{"https://*.example.com:443", "https://a.example.com", own, true},
		{"https://*.example.com", "https://example.com", own, false},
		{"https://*.example.com", "https://.example.com", own, false},
		{"https://*.example.com", "https://evilexample.com", own, false},
		{"https://*.example.com", "https://a.example.com.evil.com", own, false},
		{"https://*.example.com", "https://evil.com/.example.com", own, false},
		{"https://*.example.com", "https://evil.com#.example.com", own, false},
		{"https://*.example.com", "https://evil.com:1@x.example.com", own, false},
		{"https://*.example.com", "http://a.example.com", own, false},
		{"https://*.example.com", "https://a.example.com:8443", own, false},
		{"https://[::1]:8443", "https://[::1]:8443", own, true},
		{"null", "null", own, true},
		{"https://app.example.com", "null", own, false},
		{"*", "null", own, true},
		{"*", "https://any.org", own, true},
		{"", "http://gw.example.com:8080", own, true},
		{"", "https://GW.example.com:8080", own, true},
		{"", "https://gw.example.com", "gw.example.com:443", true},
		{"", "https://gw.example.com:443", "gw.example.com", true},
		{"", "http://gw.example.com", "gw.example.com:443", false},
		{"", "https://gw.example.com", own, false},
		{"", "https://example.com:8080", own, false},
		{"", "null", "", false},
		{"", "null", "null", false},
		{"", "file://", "", false},
		{"", "://", "", false},
	} {
		s.cfg.Origins.Allow = nil
		if tt.allow != "" {
			s.cfg.Origins.Allow = []string{"https://another.example.net", tt.allow}
			if !isOriginPattern(tt.allow) {
				t.Errorf("%s can't be set", tt.allow)
			}
		}
		r := &http.Request{Host: tt.host, Header: http.Header{"Origin": {tt.origin}}}
		if got := s.originAllowed(r); got != tt.want {
			t.Errorf("allow %q, origin %q at %q: got %t; want %t", tt.allow, tt.origin, tt.host, got, tt.want)
		}
	}
}

// What would allow nobody, or more than is meant, can't be set.
func TestOriginsAreChecked(t *testing.T) {
	cfg := Config{Brokers: []string{"127.0.0.1:9092"}, Topics: []string{"prices"}}
	for _, text := range []string{"", "app.example.com", "https://", "https://app.example.com/", "https://app.example.com/x", "https://u@app.example.com",
		"https://app.*.com", "https://*example.com", "https://*", "https://*.*", "*.example.com", "**", "NULL"} {
		cfg.Gateway = settings.Gateway{Origins: settings.Origins{Allow: []string{"*", text}}}
		if err := cfg.WithDefaults().Validate(); err == nil || !strings.HasPrefix(err.Error(), "Origins.Allow[1]: ") {
			t.Errorf("%q: got %v; want that it is no origin", text, err)
		}
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("https://app.example.com:443", "https://*.example.com")
	f.Fuzz(func(t *testing.T, text, pattern string) {
		o, ok := parseOrigin(text)
		if again, still := parseOrigin(strings.ToUpper(text)); ok && isASCII(text) && (!still || again != o) {
			t.Errorf("%q: got %+v, in upper case %+v", text, o, again)
		}
		if isOriginPattern(pattern) && originIn([]string{pattern}, text) && pattern != anyOrigin && text != opaqueOrigin {
			may, _ := parseOrigin(pattern)
			if o.scheme != may.scheme || o.port != may.port || !strings.HasSuffix(o.host, strings.TrimPrefix(may.host, "*")) {
				t.Errorf("%q allows %q", pattern, text)
			}
		}
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

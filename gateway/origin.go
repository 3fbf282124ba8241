package gateway

import (
	"net/url"
	"strings"
)

const (
	// anyOrigin in the list of those that are allowed is all.
	anyOrigin = "*"
	// opaqueOrigin is what sandboxed pages and local files send.
	opaqueOrigin = "null"
	// anyHostBelow before a host is all that end in it, itself not included.
	anyHostBelow = "*."
)

// origin is a web origin (RFC 6454): what case does not matter in is lower case, and a port that is the scheme's own is
// left out.
type origin struct{ scheme, host, port string }

// parseOrigin reads what a browser sends.
func parseOrigin(text string) (origin, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Hostname() == "" || u.Scheme+"://"+u.Host != schemeLower(text) {
		return origin{}, false
	}
	o := origin{u.Scheme, strings.ToLower(u.Hostname()), u.Port()}
	if o.port == defaultPort(o.scheme) {
		o.port = ""
	}
	return o, true
}

// schemeLower is the text with its scheme as url.Parse has it.
func schemeLower(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	return strings.ToLower(scheme) + "://" + rest
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// isOriginPattern reports whether the text can be one of those that are allowed.
func isOriginPattern(text string) bool {
	if text == anyOrigin || text == opaqueOrigin {
		return true
	}
	o, ok := parseOrigin(text)
	return ok && !strings.Contains(strings.TrimPrefix(o.host, anyHostBelow), "*")
}

// originIn reports whether one of the patterns, which have been checked, allows the origin.
func originIn(patterns []string, text string) bool {
	from, ok := parseOrigin(text)
	for _, p := range patterns {
		if p == anyOrigin || p == opaqueOrigin && text == opaqueOrigin {
			return true
		}
		if may, isOne := parseOrigin(p); ok && isOne && may.allows(from) {
			return true
		}
	}
	return false
}

func (o origin) allows(from origin) bool {
	if o.scheme != from.scheme || o.port != from.port {
		return false
	}
	if below, ok := strings.CutPrefix(o.host, anyHostBelow); ok {
		return strings.HasSuffix(from.host, "."+below) && len(from.host) > len(below)+1
	}
	return o.host == from.host
}

// isOwnOrigin reports whether a page is of the host that it connects to, by the Host of its request. The scheme is not
// compared: who ends TLS may be in front of the gateway.
func isOwnOrigin(text, host string) bool {
	from, ok := parseOrigin(text)
	to, isOne := parseOrigin(from.scheme + "://" + host)
	return ok && isOne && from == to
}

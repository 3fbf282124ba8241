package testbed

import (
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/weirbench/weir/internal/scrub"
)

// buildNames and buildPrefixes are the variables of weir's that a build is given: what tools need to find their way, their
// caches and the network. docs/TARGETS.md lists them. Nothing else of the user's shell is a build's matter.
var (
	buildNames = []string{
		"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TMP", "TEMP", "LANG", "TZ", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
		"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "JAVA_HOME", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "M2_HOME",
	}
	buildPrefixes = []string{"LC_", "MAVEN_", "NODE_", "npm_config_", "NPM_CONFIG_"}
	// windowsNames is what no program of Windows starts without.
	windowsNames = []string{"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"}
)

// buildEnv is the environment of a build or of a tool that is asked for its version, and what hides the logins in it, which
// a package registry or a proxy may need, in what is kept of its output.
func buildEnv(run string) (list []string, hide *scrub.Scrubber) {
	var secrets []string
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if !buildGets(name) {
			continue
		}
		list = append(list, v)
		secrets = append(secrets, loginIn(name, value)...)
	}
	return append(list, envRun+"="+run), scrub.New(secrets...)
}

func buildGets(name string) bool {
	hasPrefix := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	return slices.Contains(buildNames, name) || slices.ContainsFunc(buildPrefixes, hasPrefix) ||
		runtime.GOOS == "windows" && slices.Contains(append(windowsNames, buildNames...), strings.ToUpper(name))
}

// loginIn is the secrets in a variable: all of one whose name says so, the password in a URL.
func loginIn(name, value string) []string {
	lower := strings.ToLower(name)
	for _, part := range []string{"auth", "token", "passw", "secret", "_otp", "credential"} {
		if strings.Contains(lower, part) && lower != "npm_config_auth_type" && lower != "npm_config_always_auth" {
			return []string{value}
		}
	}
	if u, err := url.Parse(value); err == nil && u.User != nil {
		if password, ok := u.User.Password(); ok {
			return []string{password, u.User.String()}
		}
	}
	return nil
}

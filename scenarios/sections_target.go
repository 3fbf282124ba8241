package scenarios

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/weirbench/weir/internal/hosts"
)

// The target: what weir starts, or finds, between Kafka and the clients.

// guaranteesSection is what a target or a profile declares.
type guaranteesSection struct {
	at                      place
	delivery                field[string]
	ordered, sheds, resumes field[bool]
}

func decodeGateway(r *reporter, e entry) gatewaySection {
	o := openObject(r, e.value, e.at, gatewayShape)
	hideURL(o, "url")
	g := gatewaySection{
		at:         o.at,
		target:     o.oneOf("target"),
		variant:    o.oneOf("variant"),
		listen:     o.text("listen", checkHostPort(0)),
		url:        o.text("url", checkURL),
		copies:     o.integer("instances"),
		command:    decodeCommand(o),
		container:  decodeContainer(o),
		usage:      decodeUsage(o),
		profile:    decodeProfile(o),
		queue:      o.size("queue"),
		slow:       o.oneOf("slow_clients"),
		config:     decodeConfig(o),
		conflate:   decodeConflate(o),
		readyIn:    o.duration("ready_in"),
		buildIn:    o.duration("build_in"),
		guarantees: decodeGuarantees(o),
	}
	o.finish()
	return g
}

// hideURL keeps a URL out of the messages where a secret may stand in it.
func hideURL(o *object, key string) {
	if e, ok := o.entries[key]; ok {
		_, secret := secretInQuery(e.value.value)
		if secret || strings.Contains(e.value.value, "@") { // a user's password may stand in it
			o.r.hide(e.at)
		}
	}
}

func decodeGuarantees(o *object) guaranteesSection {
	e, ok := o.take("guarantees")
	if !ok {
		return guaranteesSection{}
	}
	g := openObject(o.r, e.value, e.at, guaranteesShape)
	out := guaranteesSection{
		at: e.at, delivery: g.oneOf("delivery"), ordered: g.boolean("ordered"), sheds: g.boolean("sheds"), resumes: g.boolean("resumes"),
	}
	g.finish()
	return out
}

// The placeholders of what a target is told, and of where it is reached.
var (
	targetPlaceholders = []string{"port", "seeds", "topics", "run"}
	portPlaceholder    = []string{"port"}
)

func decodeCommand(o *object) field[CommandTarget] {
	e, ok := o.take("command")
	if !ok {
		return field[CommandTarget]{}
	}
	before := len(o.r.problems)
	c := openObject(o.r, e.value, e.at, commandShape)
	hideURL(c, "url")
	t := CommandTarget{
		Args:       decodeArgs(c),
		Env:        decodeTargetEnv(c),
		URL:        c.text("url", checkStartedURL(checkURL, "ws")).value,
		Ready:      decodeReady(c),
		StopSignal: c.oneOf("stop_signal").or(defaultStopSignal),
		StopIn:     c.duration("stop_in").or(defaultStopIn),
	}
	if dir := c.text("dir", checkPath); dir.state == given {
		t.Dir = o.r.beside(dir.value)
	}
	c.need()
	c.finish()
	return field[CommandTarget]{value: t, at: e.at, state: stateSince(o.r, before)}
}

func decodeContainer(o *object) field[ContainerTarget] {
	e, ok := o.take("container")
	if !ok {
		return field[ContainerTarget]{}
	}
	before := len(o.r.problems)
	c := openObject(o.r, e.value, e.at, containerShape)
	hideURL(c, "url")
	image, build := c.text("image", checkAnyImage), c.text("build", checkPath)
	t := ContainerTarget{
		Image:       image.value,
		Args:        decodeArgs(c),
		Env:         decodeTargetEnv(c),
		Port:        c.integer("port").value,
		URL:         c.text("url", checkStartedURL(checkURL, "ws")).value,
		Ready:       decodeReady(c),
		HostNetwork: c.boolean("host_network").value,
		StopIn:      c.duration("stop_in").or(defaultStopIn),
	}
	if build.state == given {
		t.Build = o.r.beside(build.value)
	}
	switch {
	case !c.ok:
	case image.state != absent && build.state != absent:
		o.r.addf(build.at, "stands beside image, and there can be one of them (remove one)")
	case image.state == absent && build.state == absent:
		o.r.addf(e.at.under("image"), "is missing (write image: my-gateway:1.0, or build: FOLDER)")
	}
	c.need()
	c.finish()
	return field[ContainerTarget]{value: t, at: e.at, state: stateSince(o.r, before)}
}

// stateSince is bad where problems came up since there were so many.
func stateSince(r *reporter, before int) fieldState {
	if len(r.problems) > before {
		return bad
	}
	return given
}

func checkAnyImage(image string) error {
	if image == "" || strings.ContainsAny(image, " \t\n") {
		return fmt.Errorf("%s is not an image (write my-gateway:1.0)", quote(image))
	}
	return nil
}

// secretArgument finds the names of flags whose values are secrets, secretVariable those of variables, but for what ends in
// notSecret and says where one is.
var (
	secretArgument = regexp.MustCompile(`(?i)^-{1,2}[a-z0-9._-]*(passw(or)?d|passphrase|secret|token|credentials?|api[-_.]?key)$`)
	secretVariable = regexp.MustCompile(`(?i)passw(or)?d|passphrase|(^|_)pass($|_)|pwd|secret|token|credential|cookie|jwt|bearer|signature` +
		`|(^|_)key$|(access|api|auth|private|shared)_?key`)
	notSecret = regexp.MustCompile(`(?i)[._-]?(file|path|dir|env|url|uri|name|type)$`)
)

// decodeArgs takes a command line. A flag whose value is a secret is refused, and not repeated.
func decodeArgs(o *object) []string {
	args := decodeTexts(o, "args", func(text string) error {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("has a zero byte, which no argument can have")
		}
		return checkPlaceholders(text, targetPlaceholders...)
	})
	items, _ := o.list("args")
	for i, arg := range items {
		name, value, whole := strings.Cut(arg.value.value, "=")
		switch {
		case !secretArgument.MatchString(name):
		case whole && value != "":
			writtenOut(o.r, entry{value: arg.value, at: arg.at}, secretArgumentMend)
		case !whole && i+1 < len(items) && !strings.HasPrefix(items[i+1].value.value, "-"):
			writtenOut(o.r, entry{value: items[i+1].value, at: items[i+1].at}, secretArgumentMend)
		}
	}
	return args
}

// secretArgumentMend is what to do with a secret on a command line.
const secretArgumentMend = "env: {NAME: {env: NAME}} for the program to read"

func decodeTargetEnv(o *object) []EnvVar {
	env, ok := openItems(o, "env", targetEnvShape)
	if !ok {
		return nil
	}
	var out []EnvVar
	for _, name := range env.order {
		out = append(out, envVarOf(env, name))
	}
	env.finish()
	return out
}

func envVarOf(env *object, name string) EnvVar {
	e := env.entries[name]
	if !variableForm.MatchString(name) {
		env.r.addf(e.keyAt, "%s is not the name of a variable (letters, digits and _ alone)", quote(name))
	}
	if e.value.kind == yaml.MappingNode {
		env.take(name)
		secret := decodeSecret(env.r, e, "{env: NAME}")
		return EnvVar{Name: name, Secret: &secret}
	}
	if written := e.value.tag != "!!null" && !e.value.unknown; written && secretVariable.MatchString(name) && !notSecret.MatchString(name) {
		env.take(name)
		writtenOut(env.r, e, "{env: NAME}")
		return EnvVar{Name: name}
	}
	value := env.text(name, func(text string) error {
		if strings.ContainsRune(text, 0) {
			return fmt.Errorf("has a zero byte, which no variable can have")
		}
		return checkPlaceholders(text, targetPlaceholders...)
	})
	return EnvVar{Name: name, Value: value.value}
}

func decodeReady(o *object) Ready {
	e, ok := o.take("ready")
	if !ok {
		return Ready{}
	}
	r := openObject(o.r, e.value, e.at, readyShape)
	_, _, one := r.only()
	port := r.boolean("port")
	out := Ready{
		URL:  r.text("url", checkStartedURL(checkPage, "http")).value,
		Port: port.value,
		Log:  r.text("log", checkLogLine).value,
	}
	if port.state == given && !port.value {
		o.r.addf(port.at, "says nothing (write true, or log or url)")
	}
	r.finish()
	if !one {
		return Ready{}
	}
	return out
}

func checkLogLine(text string) error {
	if text == "" {
		return fmt.Errorf("is empty, and every line would match it (write 'listening on')")
	}
	if err := checkPlaceholders(text, targetPlaceholders...); err != nil {
		return err
	}
	if _, err := regexp.Compile(placeholder.ReplaceAllString(text, "1")); err != nil {
		return fmt.Errorf("%s is not a regular expression: %s", quote(text), strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return nil
}

// checkStartedURL checks a URL of what weir starts, which is on this machine and in which {port} stands for a port.
func checkStartedURL(check func(string) error, scheme string) func(string) error {
	return func(text string) error {
		if err := checkPlaceholders(text, portPlaceholder...); err != nil {
			return err
		}
		const anyPort = "60999"
		plain := strings.ReplaceAll(text, "{port}", anyPort)
		if err := check(plain); err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), anyPort, "{port}"))
		}
		if u, err := url.Parse(plain); err == nil && !hosts.Loopback(u.Hostname()) {
			return fmt.Errorf("%s is not on this machine, where weir starts the target (write %s://127.0.0.1:{port}%s)", quote(text), scheme, u.EscapedPath())
		}
		return nil
	}
}

// checkPage checks the URL of a page.
func checkPage(text string) error {
	u, err := url.Parse(text)
	name, secret := secretInQuery(text)
	switch {
	case secret:
		return fmt.Errorf("has the secret %s written out in its query, and it would stand in the run's record (remove it)", quote(name))
	case err == nil && u.User != nil, err != nil && strings.Contains(text, "@"):
		return fmt.Errorf("has a user or a password written out (remove it)")
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("%s is not a page's URL (write http://host:port/path)", quote(text))
	}
	return nil
}

func decodeUsage(o *object) field[UsageSource] {
	e, ok := o.take("usage")
	if !ok {
		return field[UsageSource]{}
	}
	f := field[UsageSource]{at: e.at, state: bad}
	u := openObject(o.r, e.value, e.at, usageShape)
	hideURL(u, "metrics")
	_, _, one := u.only()
	metrics := u.text("metrics", checkPage)
	pids, okPids := decodePids(u)
	u.finish()
	if one && okPids && metrics.state != bad {
		f.value, f.state = UsageSource{Pids: pids, Metrics: metrics.value}, given
	}
	return f
}

func decodePids(o *object) (pids []int, ok bool) {
	items, f := o.list("pids")
	ok = f.state != bad
	if len(items) > maxProfileItems {
		o.r.addf(f.at, "%d are too many (at most %d)", len(items), maxProfileItems)
		return nil, false
	}
	k := o.of("pids").item
	for _, i := range items {
		pid := parseScalar(o.r, i.value, i.at, "a process id", func(n *node) (int, error) {
			value, err := parseCount(n.value)
			if err != nil {
				return 0, err
			}
			return int(value), within(int(value), int(k.low), int(k.high), func(n int) string { return fmt.Sprint(n) })
		})
		ok = ok && pid.state == given
		pids = append(pids, pid.value)
	}
	return pids, ok
}

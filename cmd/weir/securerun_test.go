package main

import (
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

const (
	kafkaUser = "weir"
	// canary is the password. It is one that URLs, JSON and the shell write otherwise.
	canary = "canary-7Hq/+x&y%z"
	// passwordEnv is where weir finds it.
	passwordEnv = "WEIR_TEST_KAFKA_PASSWORD"
)

// startSecured runs the small scenario on an external cluster.
func startSecured(t *testing.T, seeds []string, security *scenarios.KafkaSecurity, env ...string) *weir {
	t.Helper()
	return startSecuredWith(t, seeds, security, env)
}

func startSecuredWith(t *testing.T, seeds []string, security *scenarios.KafkaSecurity, env []string, args ...string) *weir {
	t.Helper()
	kafka := "provider: external\n  seeds: [" + strings.Join(seeds, ", ") + "]\n" + securityYAML(security)
	scenario := strings.Replace(small, "provider: embedded\n  brokers: 1\n", kafka, 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "secured.yaml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("weir")
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "run")
	w := startCommand(t, "", path, env, append([]string{"run", file, "--out", out, "--set", "phases.measure.0.duration=1s"}, args...)...)
	w.dir = out
	return w
}

// securityYAML writes kafka.tls and kafka.sasl.
func securityYAML(security *scenarios.KafkaSecurity) string {
	var lines strings.Builder
	if tls := security.TLS; tls != nil {
		fmt.Fprintf(&lines, "  tls: {ca: %s", tls.CAFile)
		if tls.CertFile != "" {
			fmt.Fprintf(&lines, ", cert: %s, key: %s", tls.CertFile, tls.KeyFile)
		}
		lines.WriteString("}\n")
	}
	if sasl := security.SASL; sasl != nil {
		from := "env: " + sasl.Password.Env
		if sasl.Password.File != "" {
			from = "file: " + sasl.Password.File
		}
		fmt.Fprintf(&lines, "  sasl: {mechanism: %s, username: %s, password: {%s}}\n", sasl.Mechanism, sasl.Username, from)
	}
	return lines.String()
}

// carried requires that the run delivered everything, and passed as far as the machine let the generator keep its times.
func (w *weir) carried() {
	w.t.Helper()
	code := w.wait()
	w.checkClean()
	s := w.summary()
	if code == report.ExitInvalid && testkit.LateAlone(s) {
		w.t.Logf("this machine did not keep the schedule: %s", lateness(s))
		return
	}
	if code != report.ExitPassed {
		w.t.Errorf("exit code: got %d; want %d", code, report.ExitPassed)
	}
}

// sasl is a plan's login.
func sasl(mechanism string, secret scenarios.Secret) *scenarios.SASL {
	return &scenarios.SASL{Mechanism: mechanism, Username: kafkaUser, Password: secret}
}

// secretFile holds a password as an editor leaves it.
func secretFile(t *testing.T, password string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// secretForms are the ways in which a secret may stand in a file: as it is, escaped or encoded, alone or inside something
// longer that was encoded whole.
func secretForms(secret string) []string {
	quoted, _ := json.Marshal(secret) // a string always encodes
	forms := []string{
		secret, strings.Trim(string(quoted), `"`), strings.Trim(fmt.Sprintf("%q", secret), `"`),
		url.QueryEscape(secret), url.PathEscape(secret), strings.ToLower(url.QueryEscape(secret)),
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
	}
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := encoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
			// The first characters mix with what stands before, the last one with what stands behind.
			from := []int{0, 2, 3}[before]
			to := len(text)
			if (before+len(secret))%3 != 0 {
				to--
			}
			forms = append(forms, text[from:to])
		}
	}
	return forms
}

// findSecret lists where a secret stands among the texts, by their names.
func findSecret(texts map[string]string, secret string) []string {
	var found []string
	for name, text := range texts {
		if slices.ContainsFunc(secretForms(secret), func(form string) bool { return strings.Contains(text, form) }) {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// artefacts returns everything that a run left: each file of its directory byte by byte, what its log holds decoded, and
// what it printed.
func (w *weir) artefacts() map[string]string {
	w.t.Helper()
	texts := map[string]string{"stdout": w.stdout.String(), "stderr": w.stderr.String()}
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		texts[filepath.Base(path)] = string(data)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	run, err := results.Open(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	decoded := []any{run.Plan, run.Environment, run.Events, run.Audit, run.Health, run.End}
	for iv, err := range run.Intervals() {
		if err != nil {
			w.t.Fatal(err)
		}
		decoded = append(decoded, iv.Gauges, iv.Counters)
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		w.t.Fatal(err)
	}
	texts["run.log decoded"] = string(text)
	return texts
}

// commandLines returns those of weir and all of its descendants as they run now.
func (w *weir) commandLines() string {
	w.t.Helper()
	var lines strings.Builder
	for pids := []int{w.cmd.Process.Pid}; len(pids) > 0; pids = pids[1:] {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pids[0]))
		if err == nil { // else it has ended meanwhile
			fmt.Fprintln(&lines, strings.ReplaceAll(string(line), "\x00", " "))
		}
		pids = append(pids, children(pids[0])...)
	}
	return lines.String()
}

// keepsSecret requires that nothing of the run holds the secret, and that everything was there to be searched.
func (w *weir) keepsSecret(secret, commandLines string, files ...string) {
	w.t.Helper()
	texts := w.artefacts()
	texts["command lines"] = commandLines
	for _, name := range append(files, "run.log", "run.log decoded", "summary.json", "report.html", "report.md", "junit.xml",
		"intervals.csv", "e2e.hgrm") {
		if texts[name] == "" {
			w.t.Errorf("%s is missing or empty: nothing was searched there", name)
		}
	}
	if found := findSecret(texts, secret); len(found) > 0 {
		w.t.Errorf("the password stands in %v", found)
	}
}

// securedKafka is a fake cluster with TLS and SASL. Its SCRAM takes the canary as the password.
func securedKafka(t *testing.T) (*kfake.Cluster, *scenarios.TLS) {
	t.Helper()
	pki := testkit.NewPKI(t, "ca")
	c := testkit.KafkaWith(t, kfake.EnableSASL(),
		kfake.Superuser(scenarios.SASLScramSHA256, kafkaUser, canary), kfake.Superuser(scenarios.SASLPlain, kafkaUser, canary),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pki.Issue("broker").Pair}, MinVersion: tls.VersionTLS12}))
	return c, &scenarios.TLS{CAFile: pki.CAFile}
}

// TestSecretStaysSecret runs on a secured cluster and searches everything that is left for the password.
func TestSecretStaysSecret(t *testing.T) {
	t.Parallel()
	secrets := map[string]scenarios.Secret{"env": {Env: passwordEnv}, "file": {File: secretFile(t, canary)}}
	for from, secret := range secrets {
		var env []string
		place := secret.File
		if secret.Env != "" {
			env, place = []string{passwordEnv + "=" + canary}, secret.Env
		}
		t.Run(from, func(t *testing.T) {
			t.Parallel()
			kafka, trust := securedKafka(t)
			security := &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA256, secret)}
			w := startSecured(t, kafka.ListenAddrs(), security, env...)
			var lines string
			testkit.Eventually(t, "the gateway is among the command lines", func() bool {
				lines = w.commandLines()
				return strings.Contains(lines, "gateway --child --config ")
			})
			w.carried()
			w.keepsSecret(canary, lines, "gateway.yaml")
			if told := w.artefacts()["gateway.yaml"]; !strings.Contains(told, place) {
				t.Errorf("the gateway's file does not name %s:\n%s", place, told)
			}
			if plan := w.artefacts()["run.log"]; !strings.Contains(plan, place) {
				t.Errorf("the run's log does not name %s", place)
			}
		})
		// The broker quotes what it was given, as a careless login module does.
		t.Run(from+" refused", func(t *testing.T) {
			t.Parallel()
			kafka, trust := securedKafka(t)
			refusePassword(kafka)
			security := &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, secret)}
			w := startSecured(t, kafka.ListenAddrs(), security, env...)
			if got, want := w.wait(), report.ExitError; got != want {
				t.Errorf("exit code: got %d; want %d", got, want)
			}
			w.keepsSecret(canary, "")
			for _, want := range []string{`user "weir" by PLAIN`, place} {
				if got := w.summary().Run.Error; !strings.Contains(got, want) {
					t.Errorf("got error %q; want %q in it", got, want)
				}
			}
		})
	}
}

// TestSecretInAnEnvFile: the generator and the gateway find the password in the file of variables, and what the environment
// says already wins.
func TestSecretInAnEnvFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "variables")
	if err := os.WriteFile(file, []byte("# the test's own\n"+passwordEnv+"='"+canary+"'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kafka, trust := securedKafka(t)
	security := &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLScramSHA256, scenarios.Secret{Env: passwordEnv})}
	w := startSecuredWith(t, kafka.ListenAddrs(), security, nil, "--env-file", file)
	w.carried()
	w.keepsSecret(canary, "")

	w = startSecuredWith(t, kafka.ListenAddrs(), security, []string{passwordEnv + "=another"}, "--env-file", file)
	if got, want := w.wait(), report.ExitError; got != want {
		t.Errorf("exit code with another password in the environment: got %d; want %d", got, want)
	}
	if got, want := w.summary().Run.Error, "the cluster refused user"; !strings.Contains(got, want) {
		t.Errorf("got error %q; want %q in it", got, want)
	}
}

func refusePassword(kafka *kfake.Cluster) {
	kafka.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		return refusal(req.ResponseKind().(*kmsg.SASLAuthenticateResponse)), nil, true
	})
}

func refusal(resp *kmsg.SASLAuthenticateResponse) *kmsg.SASLAuthenticateResponse {
	resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
	resp.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("no user %s with password %s", kafkaUser, canary))
	return resp
}

// TestSecretTakenBack lets the cluster refuse the password for a while in the midst of a run: what the gateway and the
// clients of the generator log about it must not hold the password either.
func TestSecretTakenBack(t *testing.T) {
	t.Parallel()
	kafka, trust := securedKafka(t)
	security := &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, scenarios.Secret{Env: passwordEnv})}
	w := startSecuredWith(t, kafka.ListenAddrs(), security, []string{passwordEnv + "=" + canary}, "--set", "phases.measure.0.duration=10m",
		"--set", "phases.drain.deadline=5s")
	w.measuring()
	var over atomic.Bool
	// Every connection ends with its next fetch or produce, and the new one has to authenticate.
	for _, key := range []kmsg.Key{kmsg.Fetch, kmsg.Produce, kmsg.SASLAuthenticate} {
		kafka.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			kafka.KeepControl()
			if over.Load() {
				return nil, nil, false
			}
			if resp, ok := req.ResponseKind().(*kmsg.SASLAuthenticateResponse); ok {
				return refusal(resp), nil, true
			}
			return nil, errors.New("the connection ends"), true
		})
	}
	gatewayLog := func() string {
		data, _ := os.ReadFile(filepath.Join(w.dir, "gateway.log")) // not there yet: nothing logged
		return string(data)
	}
	testkit.Eventually(t, "the gateway logs the refusal", func() bool {
		return strings.Contains(gatewayLog(), "SASL_AUTHENTICATION_FAILED")
	})
	over.Store(true)
	_ = w.cmd.Process.Signal(os.Interrupt) // it may have ended
	w.wait()                               // how much of the run survives this is not the question here
	w.keepsSecret(canary, "", "gateway.log")
}

// TestSearchFindsSecret plants the password in each artefact, and in each form in one: the search must find it.
func TestSearchFindsSecret(t *testing.T) {
	t.Parallel()
	kafka, trust := securedKafka(t)
	refusePassword(kafka)
	security := &scenarios.KafkaSecurity{TLS: trust, SASL: sasl(scenarios.SASLPlain, scenarios.Secret{Env: passwordEnv})}
	w := startSecured(t, kafka.ListenAddrs(), security, passwordEnv+"="+canary)
	w.wait()
	clean := w.artefacts()
	for name := range clean {
		planted := map[string]string{}
		for n, text := range clean {
			planted[n] = text
		}
		planted[name] += "level=WARN msg=\"bad password " + canary + "\""
		if got, want := findSecret(planted, canary), []string{name}; !slices.Equal(got, want) {
			t.Errorf("planted in %s: found in %v", name, got)
		}
	}
	login := "\x00" + kafkaUser + "\x00" + canary + "!" // as PLAIN sends it, and something behind
	for i, text := range []string{
		canary, url.QueryEscape("p=" + canary), fmt.Sprintf("%q", canary), hex.EncodeToString([]byte(login)), fmt.Sprint([]byte(login)),
		base64.StdEncoding.EncodeToString([]byte(canary)), base64.StdEncoding.EncodeToString([]byte(login)),
		base64.URLEncoding.EncodeToString([]byte("x" + login)), base64.StdEncoding.EncodeToString([]byte("xx" + login)),
	} {
		if got := findSecret(map[string]string{"text": "a " + text + " b"}, canary); len(got) != 1 {
			t.Errorf("form %d, %s: not found", i, text)
		}
	}
	// And in a real log: an event that quotes it.
	dir := filepath.Join(t.TempDir(), "run")
	log, err := results.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	run, err := results.Open(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Plan(run.Plan); err != nil {
		t.Fatal(err)
	}
	if err := log.Event(&results.Event{AtNS: time.Now().UnixNano(), Kind: results.EventWarning, Text: "refused " + canary}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	w.dir = dir
	if got, want := findSecret(w.artefacts(), canary), []string{"run.log", "run.log decoded"}; !slices.Equal(got, want) {
		t.Errorf("planted in an event: found in %v; want %v", got, want)
	}
}

// TestGatewayLogin starts the gateway by hand, where no run has checked the cluster before.
func TestGatewayLogin(t *testing.T) {
	t.Parallel()
	kafka, trust := securedKafka(t)
	refusePassword(kafka)
	file := secretFile(t, canary)
	start := func(t *testing.T, args ...string) *weir {
		return startWeir(t, append([]string{"gateway", "--listen", "127.0.0.1:0", "--topics", "prices", "--brokers", kafka.ListenAddrs()[0]}, args...)...)
	}
	login := []string{"--kafka-tls-ca", trust.CAFile, "--kafka-sasl-mechanism", "PLAIN", "--kafka-sasl-username", kafkaUser}
	tests := []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"refused", append(login, "--kafka-sasl-password-file", file), report.ExitError, []string{"SASL_AUTHENTICATION_FAILED", `user "weir" by PLAIN`, file}},
		{"no password", login, report.ExitUsage, []string{"--kafka-sasl-password-env", "--kafka-sasl-password-file"}},
		{"two passwords", append(login, "--kafka-sasl-password-file", file, "--kafka-sasl-password-env", "X"), report.ExitUsage, []string{"give one of"}},
		{"variable not set", append(login, "--kafka-sasl-password-env", "WEIR_NO_SUCH_VARIABLE"), report.ExitUsage, []string{"WEIR_NO_SUCH_VARIABLE is not set"}},
		{"token and password", []string{"--kafka-sasl-mechanism", "OAUTHBEARER", "--kafka-sasl-token-file", file, "--kafka-sasl-password-file", file}, report.ExitUsage, []string{"a token says itself who it is of"}},
		{"no token", []string{"--kafka-sasl-mechanism", "OAUTHBEARER"}, report.ExitUsage, []string{"--kafka-sasl-token-url"}},
		{"token for PLAIN", append(login, "--kafka-sasl-password-file", file, "--kafka-sasl-token-env", "X"), report.ExitUsage, []string{"are for OAUTHBEARER"}},
		{"token URL in plain text", []string{"--kafka-sasl-mechanism", "OAUTHBEARER", "--kafka-sasl-username", "u", "--kafka-sasl-password-file", file, "--kafka-sasl-token-url", "http://a.example/t"}, report.ExitError, []string{"use https"}},
		{"user alone", []string{"--kafka-sasl-username", "u"}, report.ExitUsage, []string{"--kafka-sasl-mechanism is missing"}},
		{"no CA", []string{"--kafka-tls-ca", file}, report.ExitError, []string{file, "no PEM certificate"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, tt.args...)
			if got := w.wait(); got != tt.code {
				t.Errorf("exit code: got %d; want %d", got, tt.code)
			}
			told := w.stderr.String()
			for _, want := range tt.want {
				if !strings.Contains(told, want) {
					t.Errorf("got %q; want %q in it", told, want)
				}
			}
			if found := findSecret(map[string]string{"stdout": w.stdout.String(), "stderr": told}, canary); len(found) > 0 {
				t.Errorf("the password stands in %v: %s", found, told)
			}
		})
	}
}

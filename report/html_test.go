package report

import (
	"bytes"
	"context"
	"errors"
	"html"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirbench/weir/results"
)

// hostile is a run whose every name tries to be more than a name.
func hostile() *fixture {
	const evil = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[2J\u202e|[x](https://example.com) @everyone"
	f := broken()
	f.plan.Name, f.plan.Description, f.plan.Source = evil, evil, evil
	f.plan.Thresholds[0].Text = evil
	f.env.Gateway, f.env.Kafka, f.env.CPU = evil, evil, evil
	f.env.Command = []string{evil}
	f.env.Extra = map[string]string{evil: evil}
	f.audit.Worst[0].Client = evil
	f.audit.Reference[0].Topic, f.audit.Reference[0].Incomplete = evil, evil
	f.events = append(f.events,
		results.Event{AtNS: startedAt, Kind: results.EventDisconnect, Phase: evil, Text: evil},
		results.Event{AtNS: startedAt, Kind: results.EventWarning, Text: evil})
	f.end.Reason = evil
	f.intervals[3].Phase = evil
	const more = "\"'`--></style></title></textarea><!--<script>\u2028\u2029{{.}}\x00\x1b]0;owned\x07\u2066\u200f javascript:alert(1)"
	f.plan.Clients[0].Name, f.plan.Producers[0].Name = more, "=cmd|' /C calc'!A0"+more
	f.plan.Thresholds[1].Text = more
	f.audit.NeverJoined, f.audit.NeverJoinedCount = []string{more}, 1
	f.events = append(f.events,
		results.Event{AtNS: startedAt + 5e9, Kind: results.EventTarget, Text: "broker: " + more + evil},
		results.Event{AtNS: startedAt + 5e9, Kind: results.EventDisconnect, Text: strings.Repeat("close reason ", 5000)},
		results.Event{AtNS: startedAt + 6e9, Kind: results.EventClockStep, Text: strings.Repeat("long", 5000)})
	return f
}

func renderHTML(t *testing.T, f *fixture) string {
	t.Helper()
	r := f.write(t)
	s, err := Summarise(r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := HTML(&out, r, s); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	scriptElement = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	styleElement  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	policyMeta    = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy" content="([^"]*)">`)
	// What makes a browser load something: attributes, and the two ways of CSS.
	loading = regexp.MustCompile(`(?i)\s(?:src|srcset|href|action|data|poster|background|formaction)\s*=\s*["']?([^"'\s>]*)|url\(([^)]*)\)|@import`)
)

func TestHTMLOfAHostileRun(t *testing.T) {
	t.Parallel()
	page := renderHTML(t, hostile())
	t.Run("escapes its names", func(t *testing.T) { checkEscaped(t, page) })
	t.Run("allows its own scripts and styles and nothing else", func(t *testing.T) { checkPolicy(t, page) })
	t.Run("loads nothing", func(t *testing.T) { checkLoads(t, page) })
	t.Run("draws its charts in a browser", func(t *testing.T) { checkDrawn(t, page) })
	t.Run("keeps foreign scripts out", func(t *testing.T) { checkKeptOut(t, page) })
}

func checkEscaped(t *testing.T, page string) {
	if got := strings.Count(page, "<script"); got != 3 {
		t.Errorf("%d script elements; want 3: the data, uPlot and the report's own", got)
	}
	for _, forbidden := range []string{"<script>document.title", "<img", "onerror=alert(1)>", "\x1b", "\x00", "\u202e", "\u2066", "\u200f", "<!--"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page has %s unescaped", forbidden)
		}
	}
	for _, element := range []string{"</style>", "</title>", "</head>", "</body>"} {
		if want := map[string]int{"</style>": 2}[element]; strings.Count(page, element) != max(want, 1) {
			t.Errorf("%d of %s; a name ended an element", strings.Count(page, element), element)
		}
	}
	if !strings.Contains(page, "&lt;script&gt;document.title") {
		t.Error("the page has lost the hostile name altogether; it is to be shown")
	}
}

func checkPolicy(t *testing.T, page string) {
	m := policyMeta.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no content security policy")
	}
	directives := strings.Split(html.UnescapeString(m[1]), "; ")
	for _, want := range []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !slices.Contains(directives, want) {
			t.Errorf("the policy lacks %s: %s", want, directives)
		}
	}
	for directive, element := range map[string]*regexp.Regexp{"script-src": scriptElement, "style-src": styleElement} {
		want := directive
		for _, content := range element.FindAllStringSubmatch(page, -1) {
			want += " " + sourceHash(content[1])
		}
		if !slices.Contains(directives, want) || strings.Count(want, "sha256") != 2 {
			t.Errorf("the policy has no %q: %q", want, directives)
		}
	}
	if strings.Index(page, "Content-Security-Policy") > strings.Index(page, "<style") {
		t.Error("the policy stands behind what it is to judge")
	}
	if strings.Contains(html.UnescapeString(m[1]), "unsafe") {
		t.Errorf("the policy has an unsafe source: %s", m[1])
	}
}

func checkLoads(t *testing.T, page string) {
	markup := scriptElement.ReplaceAllString(page, "")
	var loads []string
	for _, m := range loading.FindAllStringSubmatch(markup, -1) {
		if m[1] != "data:," && m[1] != "x" && !strings.HasPrefix(m[1], "#") { // the hostile name's, escaped
			loads = append(loads, m[0])
		}
	}
	if len(loads) > 0 {
		t.Errorf("the page loads %q", loads)
	}
	if strings.Contains(markup, " style=") {
		t.Error("the page has a style attribute, which its policy forbids")
	}
}

func TestHTMLOfARunWithoutAnything(t *testing.T) {
	f := passing()
	killed(f)
	f.env, f.intervals, f.events = nil, nil, nil
	page := renderHTML(t, f)
	if !strings.Contains(page, "no verdict") || !strings.Contains(page, "No interval was recorded") {
		t.Error("the page does not say that there is nothing")
	}
}

// chromium finds the browser, or skips the test; WEIR_REQUIRE_CHROMIUM=1 fails it instead.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("WEIR_REQUIRE_CHROMIUM") == "1" {
		t.Fatal("no chromium in PATH, and WEIR_REQUIRE_CHROMIUM=1 requires it")
	}
	t.Skip("SKIPPED: no chromium in PATH, so nobody looked at the page (WEIR_REQUIRE_CHROMIUM=1 makes this a failure)")
	return ""
}

// browse loads a page and returns its document when its scripts have run, and what it said on the console.
func browse(t *testing.T, page string) (dom string, console []string) {
	t.Helper()
	return runChromium(t, page, "--window-size=1280,2000", "--dump-dom")
}

// runChromium loads a page with further flags, and returns what the browser wrote and what the page said on the console.
func runChromium(t *testing.T, page string, flags ...string) (out string, console []string) {
	t.Helper()
	browser := chromium(t)
	dir, err := os.MkdirTemp("", "weir-browse-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Logf("the browser's profile stays behind: %v", err)
		}
	})
	file := filepath.Join(dir, "report.html")
	if err := os.WriteFile(file, []byte(page), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a hang, not a slow machine
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--enable-logging=stderr"}, flags...)
	cmd := exec.CommandContext(ctx, browser, append(args, "file://"+file)...)
	cmd.WaitDelay = time.Minute
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("run %s: %v\n%s", browser, err, stderr.String())
	}
	for line := range strings.Lines(stderr.String()) {
		if strings.Contains(line, "CONSOLE") {
			console = append(console, line)
		}
	}
	return stdout.String(), console
}

func checkDrawn(t *testing.T, page string) {
	dom, console := browse(t, page)
	if !strings.Contains(dom, `data-charts="8"`) || strings.Count(dom, "<canvas") != 8 {
		t.Errorf("%d charts drawn; want 8", strings.Count(dom, "<canvas"))
	}
	if strings.Contains(dom, "<title>owned") {
		t.Error("a hostile name ran as a script")
	}
	if len(console) > 0 {
		t.Errorf("the console says: %s", console)
	}
}

// The control: the policy does keep a script out that the report did not write, and the test sees it.
func checkKeptOut(t *testing.T, page string) {
	dom, console := browse(t, strings.Replace(page, "</main>", "<script>document.title='owned'</script></main>", 1))
	if strings.Contains(dom, "<title>owned") || len(console) == 0 {
		t.Errorf("the policy let a script run that is not the report's; the console says %q", console)
	}
}

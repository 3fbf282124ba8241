package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/weirbench/weir/results"
)

// The page's template, style and script, and uPlot 1.6.32 (MIT, its licence beside it), which draws the charts.
//
//go:embed assets
var assets embed.FS

// HTML writes the report as one file that loads nothing: styles and scripts are in it, and its content security policy
// allows just these, by their hashes, and no connection. All that comes from the scenario or the wire is escaped by
// html/template. It reads the run's intervals once more; the errors are those of reading and of the writer.
func HTML(w io.Writer, r *results.Run, s *Summary) error {
	t, err := readTimeline(r)
	if err != nil {
		return fmt.Errorf("write html: %w", err)
	}
	return writeHTML(w, r, s, t)
}

// writeHTML is HTML with the timeline read already.
func writeHTML(w io.Writer, r *results.Run, s *Summary, t *timeline) error {
	p, err := newPage(r, s, t)
	if err != nil {
		return fmt.Errorf("write html: %w", err)
	}
	tmpl, err := template.New("report.html.tmpl").ParseFS(assets, "assets/report.html.tmpl")
	if err != nil {
		return fmt.Errorf("write html: %w", err)
	}
	var out bytes.Buffer // so that a failure half-way writes nothing
	if err := tmpl.Execute(&out, p); err != nil {
		return fmt.Errorf("write html: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// bundle is what the page carries instead of loading it.
type bundle struct {
	Styles  []template.CSS
	Scripts []template.JS
	Policy  string
	Licence string
}

func newBundle() (b bundle, err error) {
	read := func(name string) string {
		content, readErr := assets.ReadFile("assets/" + name)
		err = errors.Join(err, readErr)
		return strings.TrimSpace(string(content))
	}
	b.Styles = []template.CSS{template.CSS(read("uplot/uPlot.min.css")), template.CSS(read("report.css"))}
	b.Scripts = []template.JS{template.JS(read("uplot/uPlot.iife.min.js")), template.JS(read("report.js"))}
	b.Licence = read("uplot/LICENSE")
	policy := []string{"default-src 'none'", "base-uri 'none'", "form-action 'none'", "img-src data:"}
	style, script := "style-src", "script-src"
	for _, css := range b.Styles {
		style += " " + sourceHash(string(css))
	}
	for _, js := range b.Scripts {
		script += " " + sourceHash(string(js))
	}
	b.Policy = strings.Join(append(policy, style, script), "; ")
	return b, err
}

// sourceHash is a hash source of Content Security Policy Level 3, section 2.3.1.
func sourceHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
)

func junitOf(t *testing.T, s *Summary) (suite junitSuite, document string) {
	t.Helper()
	var out bytes.Buffer
	if err := JUnit(&out, s); err != nil {
		t.Fatal(err)
	}
	checkJUnit(t, out.Bytes())
	var doc junitSuites
	if err := xml.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Suites) != 1 {
		t.Fatalf("%d suites; want 1", len(doc.Suites))
	}
	return doc.Suites[0], out.String()
}

// junitRule is what Jenkins' junit-10.xsd and Surefire's surefire-test-report-3.0.xsd both say of an element.
type junitRule struct {
	parents  []string
	required []string
	optional []string
	text     bool
}

var junitRules = map[string]junitRule{
	"testsuites": {parents: []string{""}, optional: []string{"name", "time", "tests", "failures", "disabled", "errors"}},
	"testsuite": {parents: []string{"testsuites"}, required: []string{"name", "tests", "failures", "errors"},
		optional: []string{"skipped", "time", "timestamp", "hostname", "id", "package"}},
	"properties": {parents: []string{"testsuite"}},
	"property":   {parents: []string{"properties"}, required: []string{"name", "value"}},
	"testcase":   {parents: []string{"testsuite"}, required: []string{"name", "classname", "time"}},
	"skipped":    {parents: []string{"testcase"}, optional: []string{"message"}, text: true},
	"error":      {parents: []string{"testcase"}, required: []string{"type"}, optional: []string{"message"}, text: true},
	"failure":    {parents: []string{"testcase"}, required: []string{"type"}, optional: []string{"message"}, text: true},
	"system-out": {parents: []string{"testcase", "testsuite"}, text: true},
}

var junitDecimal = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?$`)

// checkJUnit holds a document against the schemas' rules, and each of its characters against XML 1.0.
func checkJUnit(t *testing.T, document []byte) {
	t.Helper()
	for i, r := range string(document) {
		legal := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
		if !legal {
			t.Errorf("byte %d is %U, which XML 1.0 has no place for", i, r)
		}
	}
	path := []string{""}
	dec := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			checkElement(t, path[len(path)-1], token)
			path = append(path, token.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			if at := path[len(path)-1]; !junitRules[at].text && strings.TrimSpace(string(token)) != "" {
				t.Errorf("<%s> has text: %q", at, token)
			}
		}
	}
}

func checkElement(t *testing.T, parent string, e xml.StartElement) {
	t.Helper()
	name := e.Name.Local
	rule, known := junitRules[name]
	if !known || !slices.Contains(rule.parents, parent) {
		t.Errorf("<%s> inside <%s>", name, parent)
	}
	var have []string
	for _, a := range e.Attr {
		have = append(have, a.Name.Local)
		if !slices.Contains(append(rule.required, rule.optional...), a.Name.Local) {
			t.Errorf("<%s> has the attribute %s", name, a.Name.Local)
		}
		if a.Name.Local == "time" && !junitDecimal.MatchString(a.Value) {
			t.Errorf("<%s time=%q> is no decimal", name, a.Value)
		}
		if a.Name.Local == "timestamp" && !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`).MatchString(a.Value) {
			t.Errorf("<%s timestamp=%q> is no ISO 8601 date and time", name, a.Value)
		}
	}
	for _, want := range rule.required {
		if !slices.Contains(have, want) {
			t.Errorf("<%s> lacks the attribute %s", name, want)
		}
	}
}

// outcomes lists the cases that did not pass, as class/name: outcome.
func outcomes(suite junitSuite) (list []string) {
	for _, c := range suite.Cases {
		name := c.Class[strings.LastIndex(c.Class, ".")+1:] + "/" + c.Name
		switch {
		case c.Failure != nil:
			list = append(list, name+": failure")
		case c.Error != nil:
			list = append(list, name+": error")
		case c.Skipped != nil:
			list = append(list, name+": skipped")
		}
	}
	return list
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		f    *fixture
		want []string
	}{
		{"passing", passing(), nil},
		{"broken", broken(), []string{"run/verdict: failure", "thresholds/audit.lost == 0: failure", "thresholds/e2e{group=viewers}.p999 < 20ms: failure",
			"thresholds/gateway_in.p50 < 1ms: failure", "delivery/audit.lost: failure", "delivery/audit.unseen: failure",
			"delivery/audit.duplicate: failure", "delivery/audit.corrupt: skipped"}},
		{"invalid", goldenRuns()["invalid"], []string{"run/verdict: error", "health/generator health: error"}},
		{"interrupted", goldenRuns()["interrupted"], []string{"run/verdict: error", "thresholds/e2e.p99 < 50ms: skipped",
			"thresholds/audit.lost == 0: skipped", "thresholds/throughput.delivered >= 1k/s: skipped", "delivery/audit.lost: skipped",
			"delivery/audit.unseen: skipped", "delivery/audit.shed: skipped", "delivery/audit.duplicate: skipped",
			"delivery/audit.reordered: skipped", "delivery/audit.corrupt: skipped", "delivery/audit.stray: skipped", "delivery/audit.undetermined: skipped",
			"delivery/audit.not_taken: skipped"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			suite, _ := junitOf(t, test.f.summarise(t))
			if got := outcomes(suite); !slices.Equal(got, test.want) {
				t.Errorf("got %q; want %q", got, test.want)
			}
			failures, failed, skipped := 0, 0, 0
			for _, o := range outcomes(suite) {
				failures += strings.Count(o, ": failure")
				failed += strings.Count(o, ": error")
				skipped += strings.Count(o, ": skipped")
			}
			if suite.Tests != len(suite.Cases) || suite.Failures != failures || suite.Errors != failed || suite.Skipped != skipped {
				t.Errorf("the suite counts %d tests, %d failures, %d errors, %d skipped; its cases are %d, %d, %d, %d", suite.Tests, suite.Failures,
					suite.Errors, suite.Skipped, len(suite.Cases), failures, failed, skipped)
			}
			if v, err := strconv.ParseFloat(suite.Time, 64); err != nil || v <= 0 {
				t.Errorf("the suite took %q s", suite.Time)
			}
		})
	}
}

// A pipeline that looks at the file alone fails whenever weir's exit code says so.
func TestJUnitFailsWhereTheExitCodeDoes(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]func(*fixture){"well": nil, "slow": {slow}, "lossy": {lossy}, "lagging": {lagging}, "interrupted": {interrupted},
		"erring": {erring}, "killed": {killed}, "aborted": {slow, aborted}} {
		f := passing()
		for _, change := range changes {
			change(f)
		}
		s := f.summarise(t)
		suite, _ := junitOf(t, s)
		if bad := suite.Failures+suite.Errors > 0; bad != (s.Exit != ExitPassed) {
			t.Errorf("%s: exit code %d, and %d failures and %d errors", name, s.Exit, suite.Failures, suite.Errors)
		}
	}
}

// What is undetermined is to be seen in the file, and fails no pipeline.
func TestJUnitUndetermined(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*fixture)
		want   []string
		out    string
	}{
		{"none", func(*fixture) {}, nil, ""},
		{"never settled", func(f *fixture) { f.loseOf("desks", 3, openClass) }, []string{"delivery/audit.undetermined: skipped"}, ""},
		{"a few that left", func(f *fixture) { churning(f); f.loseOf("desks", 3, openClass) }, nil,
			"undetermined: 3 of 24,000 expected deliveries, 3 of them on their way to clients that left by plan"},
		{"many that left", func(f *fixture) { churning(f); f.loseOf("desks", 801, openClass) }, []string{"delivery/audit.undetermined: skipped"}, ""},
	} {
		f := passing()
		f.plan.Thresholds = nil
		test.change(f)
		suite, _ := junitOf(t, f.summarise(t))
		i := slices.IndexFunc(suite.Cases, func(c junitCase) bool { return c.Name == "audit.undetermined" })
		if got := outcomes(suite); !slices.Equal(got, test.want) || suite.Cases[i].Out != test.out {
			t.Errorf("%s: got %q, and %q beside; want %q, %q", test.name, got, suite.Cases[i].Out, test.want, test.out)
		}
	}
}

func TestJUnitConflationIsNoFailure(t *testing.T) {
	t.Parallel()
	f := passing()
	f.lose(50, shedClass)
	conflated(f)
	suite, _ := junitOf(t, f.summarise(t))
	if got := outcomes(suite); got != nil {
		t.Errorf("got %q; want all passed", got)
	}
}

func TestJUnitIsSafeFromHostileNames(t *testing.T) {
	t.Parallel()
	f := hostile()
	f.plan.Thresholds[1].Text = "]]>\x00\x01\x1b[31m\ufffe\ud7ff<failure/>&\"'" + strings.Repeat("long", 5000)
	f.end.Error = "broker said: \x00 ]]> </testcase>"
	f.end.Status = results.StatusPartial
	suite, document := junitOf(t, f.summarise(t))
	if strings.Contains(document, "]]>") || len(suite.Cases) == 0 || suite.Cases[0].Error == nil {
		t.Errorf("the document has ]]> as it is, or lost its cases: %d", len(suite.Cases))
	}
}

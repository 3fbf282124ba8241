package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/results"
)

// JUnit writes the summary as JUnit XML, as Jenkins, GitLab, GitHub's actions and Surefire's readers take it: a case for
// each threshold, for each audit class that the target's contract forbids, for what is undetermined, for what the pipeline
// did not take, for the generator's health, and for the verdict, which fails wherever weir's exit code is not 0. What was not judged is skipped, what cannot support a verdict
// is an error. Text from the scenario or the wire is legal XML 1.0. The error is the writer's.
func JUnit(w io.Writer, s *Summary) error {
	suite := junitSuite{
		Name:      clean(s.Run.Scenario),
		Time:      seconds(s.Run.DurationNS),
		Timestamp: time.Unix(0, s.Run.StartedAtNS).UTC().Format("2006-01-02T15:04:05"),
		Properties: &junitProperties{[]junitProperty{
			{"verdict", string(s.Verdict)}, {"status", string(s.Status)}, {"health", string(s.Health.State)}, {"exit_code", strconv.Itoa(s.Exit)},
			{"gateway", clean(s.Run.Target)}, {"kafka", clean(s.Run.Kafka)}, {"seed", strconv.FormatUint(s.Run.Seed, 10)},
		}},
	}
	suite.Cases = append(suite.Cases, junitVerdict(s), junitHealth(s))
	suite.Cases = append(suite.Cases, junitThresholds(s)...)
	suite.Cases = append(suite.Cases, junitClasses(s)...)
	suite.Cases = append(suite.Cases, junitUndetermined(s), junitNotTaken(s))
	class := "weir." + strings.ReplaceAll(suite.Name, ".", "_")
	for i := range suite.Cases {
		c := &suite.Cases[i]
		c.Class = class + "." + c.Class
		c.Time = "0"
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	suite.Cases[0].Time = suite.Time // the cases' times add up to the suite's
	doc := junitSuites{Name: "weir", Tests: suite.Tests, Failures: suite.Failures, Errors: suite.Errors, Time: suite.Time, Suites: []junitSuite{suite}}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// The document, in the order of elements that the schemas ask for.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string           `xml:"name,attr"`
	Tests      int              `xml:"tests,attr"`
	Failures   int              `xml:"failures,attr"`
	Errors     int              `xml:"errors,attr"`
	Skipped    int              `xml:"skipped,attr"`
	Time       string           `xml:"time,attr"`
	Timestamp  string           `xml:"timestamp,attr"`
	Properties *junitProperties `xml:"properties"`
	Cases      []junitCase      `xml:"testcase"`
}

type junitProperties struct {
	List []junitProperty `xml:"property"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	Time    string       `xml:"time,attr"`
	Skipped *junitReason `xml:"skipped"`
	Error   *junitReason `xml:"error"`
	Failure *junitReason `xml:"failure"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitReason struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",chardata"`
}

func seconds(ns int64) string { return strconv.FormatFloat(float64(ns)/1e9, 'f', 3, 64) }

func reasonOf(kind string, texts ...string) *junitReason {
	cleanEach(texts)
	return &junitReason{Message: texts[0], Type: kind, Text: strings.Join(texts, "\n")}
}

func junitVerdict(s *Summary) junitCase {
	c := junitCase{Name: "verdict", Class: "run"}
	reasons := append([]string(nil), s.Reasons...)
	switch s.Exit {
	case ExitPassed:
		c.Out = strings.Join(cleanEach(reasons), "\n")
	case ExitThresholdFailed, ExitContractBroken:
		c.Failure = reasonOf(string(s.Verdict), reasons...)
	default:
		c.Error = reasonOf(verdictWord(s.Verdict), reasons...)
	}
	return c
}

func junitHealth(s *Summary) junitCase {
	c := junitCase{Name: "generator health", Class: "health"}
	var texts []string
	for _, r := range s.Health.Reasons {
		texts = append(texts, fmt.Sprintf("%s: %s", r.State, r.Text))
	}
	if s.Health.State == HealthInvalid {
		c.Error = reasonOf("invalid", texts...)
		return c
	}
	c.Out = strings.Join(cleanEach(texts), "\n")
	return c
}

func junitThresholds(s *Summary) (cases []junitCase) {
	for _, f := range s.Thresholds {
		c := junitCase{Name: clean(f.Text), Class: "thresholds"}
		switch f.Result {
		case OutcomePass:
			c.Out = clean(findingText(f))
		case OutcomeFail:
			c.Failure = reasonOf("threshold", findingText(f))
		default:
			c.Skipped = &junitReason{Message: clean(findingText(f))}
		}
		cases = append(cases, c)
	}
	return cases
}

// junitClasses has a case for each class of which the contract permits nothing. Where the account was not closed, only
// what was counted as it arrived can fail.
func junitClasses(s *Summary) (cases []junitCase) {
	for _, class := range listClasses(s.assertable()) {
		if !forbidden(class.Name, s.Plan.Gateway.Guarantees) {
			continue
		}
		c := junitCase{Name: "audit." + class.Name, Class: "delivery"}
		n := class.Count
		if class.Name == "shed" {
			n -= s.Audit.Conflated
		}
		switch {
		case class.Name == results.CountCorrupt && s.Audit.Available && !s.Audit.CorruptionChecked:
			c.Skipped = &junitReason{Message: "corruption was not checked"}
		case class.Name == "unseen" && n > 0 && s.Status == results.StatusPartial:
			c.Skipped = &junitReason{Message: "the run was cut off: it had no drain deadline to wait for"}
		case n > 0:
			c.Failure = reasonOf("delivery", fmt.Sprintf("%s: %s of %s (%s)", class.Name, formatCount(n),
				plural(s.Audit.Expected, "expected delivery"), class.Meaning))
		case !s.Audit.Available:
			c.Skipped = &junitReason{Message: "the run ended before its account was closed"}
		}
		cases = append(cases, c)
	}
	return cases
}

// junitUndetermined never fails, since no contract speaks of what nobody knows. It is skipped where sends were never
// settled or too much was on its way to clients that left; what little of the latter there is stands beside a pass.
func junitUndetermined(s *Summary) junitCase {
	c := junitCase{Name: "audit.undetermined", Class: "delivery"}
	n := s.Audit.Undetermined
	text := fmt.Sprintf("undetermined: %s of %s, %s of them on their way to clients that left by plan", formatCount(n),
		plural(s.Audit.Expected, "expected delivery"), formatCount(s.Audit.Left))
	doubted := slices.ContainsFunc(s.Health.Reasons, func(r HealthReason) bool {
		return r.Code == "undetermined" || r.Code == "undetermined_leaves"
	})
	switch {
	case !s.Audit.Available:
		c.Skipped = &junitReason{Message: "the run ended before its account was closed"}
	case n > s.Audit.Left || n > 0 && doubted:
		c.Skipped = &junitReason{Message: text}
	case n > 0:
		c.Out = text
	}
	return c
}

// junitNotTaken fails where messages were not taken, and is skipped where that cannot be told.
func junitNotTaken(s *Summary) junitCase {
	c := junitCase{Name: "audit.not_taken", Class: "delivery"}
	lines := notTakenLines(s.Audit.NotTaken)
	switch {
	case len(notTakenReasons(s.Audit.NotTaken)) > 0:
		c.Failure = reasonOf("delivery", lines...)
	case len(lines) > 0:
		c.Skipped = &junitReason{Message: clean(strings.Join(lines, "; "))}
	case !s.Audit.Available:
		c.Skipped = &junitReason{Message: "the run ended before its account was closed"}
	}
	return c
}

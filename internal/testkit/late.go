package testkit

import (
	"slices"
	"strings"

	"github.com/weirbench/weir/report"
)

// LateAlone reports whether a run is invalid because the generator did not keep its schedule, and for no other reason. How
// late a shared machine makes a process is no matter of a test, so that one which asks for the account takes such a run.
func LateAlone(s *report.Summary) bool {
	late := false
	for _, r := range s.Health.Reasons {
		if r.State != report.HealthInvalid {
			continue
		}
		if r.Code != "send_lag" {
			return false
		}
		late = true
	}
	return late
}

// AbsentAlone reports whether a run breaks the contract because clients took long to come back, and for no other reason. How
// long a dial takes on a shared machine is no matter of a test either.
func AbsentAlone(s *report.Summary) bool {
	return len(s.Reasons) > 0 && !slices.ContainsFunc(s.Reasons, func(reason string) bool {
		return !strings.Contains(reason, " were not connected for ")
	})
}

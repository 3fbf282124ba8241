package testkit

import (
	"testing"

	"github.com/weirbench/weir/report"
)

// TestLateAlone: nothing else that makes a run invalid may be taken for lateness.
func TestLateAlone(t *testing.T) {
	reason := func(state report.HealthState, code string) report.HealthReason {
		return report.HealthReason{Remark: report.Remark{Code: code}, State: state}
	}
	for _, c := range []struct {
		name    string
		reasons []report.HealthReason
		want    bool
	}{
		{"none", nil, false},
		{"send lag", []report.HealthReason{reason(report.HealthInvalid, "send_lag")}, true},
		{"and doubts", []report.HealthReason{reason(report.HealthInvalid, "send_lag"), reason(report.HealthDoubtful, "machine_busy")}, true},
		{"and a defect", []report.HealthReason{reason(report.HealthInvalid, "send_lag"), reason(report.HealthInvalid, "audit_defect")}, false},
		{"a clock step", []report.HealthReason{reason(report.HealthInvalid, "clock_step")}, false},
		{"doubts alone", []report.HealthReason{reason(report.HealthDoubtful, "send_lag")}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := LateAlone(&report.Summary{Health: report.HealthReport{Reasons: c.reasons}}); got != c.want {
				t.Errorf("got %v; want %v", got, c.want)
			}
		})
	}
}

func TestAbsentAlone(t *testing.T) {
	const absent = "clients of g were not connected for 5.2% of the time that the scenario has them there: the target did not take them"
	for _, c := range []struct {
		reasons []string
		want    bool
	}{
		{nil, false},
		{[]string{absent}, true},
		{[]string{absent, "3 deliveries were lost"}, false},
		{[]string{"3 deliveries were lost"}, false},
	} {
		if got := AbsentAlone(&report.Summary{Reasons: c.reasons}); got != c.want {
			t.Errorf("%q: got %v; want %v", c.reasons, got, c.want)
		}
	}
}

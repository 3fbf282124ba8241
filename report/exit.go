package report

import "github.com/weirbench/weir/results"

// The exit codes of the built binary. Where several hold, the first of 2, 1, 130, 5, 4, 3 is taken.
const (
	ExitPassed          = 0
	ExitError           = 1   // the run, or the report, ended with an error
	ExitUsage           = 2   // the scenario or the flags are wrong; never a summary's
	ExitThresholdFailed = 3   // a threshold failed
	ExitContractBroken  = 4   // delivery broke the target's contract
	ExitInvalid         = 5   // the generator or the clock cannot support a verdict
	ExitInterrupted     = 130 // interrupted; the partial report is written all the same
)

// ExitCode is the code that weir ends with after this run. A run without a verdict that neither an error nor an
// interrupt explains (it was killed, or its log was cut off) is an error.
func (s *Summary) ExitCode() int {
	switch {
	case s.Run.Error != "":
		return ExitError
	case s.Run.Interrupted:
		return ExitInterrupted
	case s.Verdict == VerdictInvalid:
		return ExitInvalid
	case s.Verdict == VerdictBroken:
		return ExitContractBroken
	case s.Verdict == VerdictFailed:
		return ExitThresholdFailed
	case s.Verdict == VerdictPassed && s.Status == results.StatusComplete:
		return ExitPassed
	}
	return ExitError
}

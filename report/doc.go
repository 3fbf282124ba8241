// Package report turns run directories into figures and a verdict: the summary, and it as terminal table, Markdown,
// HTML, JSON and JUnit XML, the intervals as CSV, and the percentiles as HdrHistogram writes them. It is a pure function of what [results.Open] gives: it measures nothing, reaches no network, and the
// same directory gives the same report on any machine.
//
// Thresholds are judged in one place, the [Judge], from intervals: by the runner while a run goes on, and by
// [Summarise] afterwards, with the same result. The verdict is formed in verdict.go, the generator's health in
// health.go, the exit code in exit.go.
//
// The package starts no goroutine.
package report

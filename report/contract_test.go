package report

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirbench/weir/results"
	"github.com/weirbench/weir/scenarios"
)

// TestEachGuaranteeIsJudgedByItself: what each class of the audit makes of a run, under each combination of what targets
// can declare. What a guarantee permits is told and breaks nothing.
func TestEachGuaranteeIsJudgedByItself(t *testing.T) {
	t.Parallel()
	always := func(scenarios.Guarantees) bool { return true }
	never := func(scenarios.Guarantees) bool { return false }
	classes := []struct {
		name    string
		set     func(*results.Classes)
		broken  func(scenarios.Guarantees) bool
		reason  string // of a broken contract
		instead string // of a pass
	}{
		{"lost", func(c *results.Classes) { c.Lost, c.Delivered = 1, c.Delivered-1 }, always, "was lost", ""},
		{"unseen", func(c *results.Classes) { c.Unseen, c.Delivered = 1, c.Delivered-1 }, always, "was unseen", ""},
		{"shed", func(c *results.Classes) { c.Shed, c.Delivered = 1, c.Delivered-1 }, func(g scenarios.Guarantees) bool { return !g.Sheds }, "was shed", "1 was shed as the target's policy declares"},
		{"undetermined", func(c *results.Classes) { c.Undetermined, c.Delivered = 1, c.Delivered-1 }, never, "", "1 was undetermined"},
		{"duplicate", func(c *results.Classes) { c.Duplicate = 2 }, func(g scenarios.Guarantees) bool { return g.Delivery == "at-most-once" },
			"2 messages were delivered again; at-most-once forbids it", "2 messages were delivered again, as at-least-once permits"},
		{"reordered", func(c *results.Classes) { c.Reordered = 2 }, func(g scenarios.Guarantees) bool { return g.Ordered },
			"2 deliveries were out of order; the target guarantees it", "2 deliveries were out of order, which the target does not guarantee"},
		{"corrupt", func(c *results.Classes) { c.Corrupt = 1 }, always, "was corrupt", ""},
		{"stray", func(c *results.Classes) { c.Stray = 1 }, always, "had not subscribed", ""},
		{"early", func(c *results.Classes) { c.Early = 1 }, never, "", "all 16,000 expected"},
		{"foreign", func(c *results.Classes) { c.Foreign = 1 }, never, "", "all 16,000 expected"},
	}
	for _, delivery := range []string{"at-most-once", "at-least-once"} {
		for bits := range 8 {
			g := scenarios.Guarantees{Delivery: delivery, Ordered: bits&1 != 0, Sheds: bits&2 != 0, Resumes: bits&4 != 0}
			t.Run(fmt.Sprintf("%+v", g), func(t *testing.T) {
				for _, class := range classes {
					in := verdictInput{status: results.StatusComplete, end: &results.End{}, guarantees: g, audit: &results.Audit{},
						health: HealthReport{Figures: HealthFigures{Record: &results.Health{}}}, classes: results.Classes{Expected: 16_000, Delivered: 16_000}}
					class.set(&in.classes)
					want, text := VerdictPassed, class.instead
					if class.broken(g) {
						want, text = VerdictBroken, class.reason
					}
					verdict, reasons := judgeVerdict(in)
					if verdict != want || len(reasons) != 1 || !strings.Contains(reasons[0], text) {
						t.Errorf("%s: got %s, %q; want %s, %q", class.name, verdict, reasons, want, text)
					}
				}
			})
		}
	}
}

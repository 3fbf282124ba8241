package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/weirbench/weir/scenarios"
)

// farFrom says how far a threshold's value is from its limit, and draws it where both are amounts.
func farFrom(f Finding) (text string, drawn *bar) {
	if f.Observed == nil || f.Result == OutcomeNotJudged {
		return "", nil
	}
	v, limit := *f.Observed, f.Value
	if f.Op == "==" || f.Op == "!=" || limit <= 0 || v < 0 {
		if v != limit && f.Result == OutcomeFail {
			return formatValue(math.Abs(v-limit), f.Unit) + " off", nil
		}
		return "", nil
	}
	top := max(v, limit)
	drawn = &bar{Value: int(math.Round(100 * v / top)), Limit: int(math.Round(100 * limit / top))}
	ratio := v / limit
	switch {
	case f.Unit == scenarios.UnitRatio: // points, since 99.9% of 99.95% says nothing
		text = fmt.Sprintf("%s points %s the limit", significant(math.Abs(v-limit)*100), aboveOrBelow(v, limit))
	case ratio >= 1.995:
		text = significant(ratio) + "× the limit"
	default:
		text = formatShare(math.Round(ratio*1000)/1000) + " of the limit"
	}
	return text, drawn
}

func aboveOrBelow(v, limit float64) string {
	if v < limit {
		return "below"
	}
	return "above"
}

// perUnit says what a delivery cost the gateway, and a connection.
func perUnit(r Resources) string {
	var said []string
	if v := r.GatewayCPUPerDelivery; v != nil {
		said = append(said, fmt.Sprintf("A delivery took %s of the gateway's processor time: what it used in the measure phases by what arrived meanwhile.",
			formatNS(*v*1e3)))
	}
	if v := r.GatewayRSSPerConnection; v != nil {
		said = append(said, fmt.Sprintf("All of its memory by connected client is %s.", formatBytes(*v)))
	}
	return strings.Join(said, " ")
}

// resourceLines say what the parts used on average, processors, memory and descriptors; each is empty where nothing was
// measured.
func resourceLines(r Resources) (cpu, memory, descriptors string) {
	var cores, bytes, open []string
	for _, part := range r.parts() {
		if v := part.used.CPUMean; v != nil {
			cores = append(cores, part.name+" "+formatCores(*v))
		}
		if v := part.used.RSSMean; v != nil {
			bytes = append(bytes, part.name+" "+formatBytes(*v))
		}
		if v := part.used.DescriptorsMean; v != nil {
			open = append(open, fmt.Sprintf("%s %s (%s at most)", part.name, formatNearest(*v), formatWhole(*part.used.DescriptorsMax)))
		}
	}
	if r.MachineBusyMean != nil {
		cores = append(cores, "machine "+formatShare(math.Round(*r.MachineBusyMean*1000)/1000)+" busy")
	}
	cpu = strings.Join(cores, ", ")
	if v := r.GatewayCPUPerDelivery; v != nil {
		cpu += "; the gateway " + formatNS(*v*1e3) + " a delivery"
	}
	memory = strings.Join(bytes, ", ")
	if v := r.GatewayRSSPerConnection; v != nil {
		memory += "; the gateway " + formatBytes(*v) + " a connection"
	}
	return cpu, memory, strings.Join(open, ", ")
}

// namedResources is one part of the run and what it used.
type namedResources struct {
	name string
	used PartResources
}

func (r Resources) parts() []namedResources {
	return []namedResources{{"gateway", r.Gateway}, {"kafka", r.Kafka}, {"generator", r.Generator}}
}

// resourceRows is the table of what the parts of the run used.
func resourceRows(r Resources) [][]string {
	text := func(v *float64, format func(float64) string) string {
		if v == nil {
			return unsupportedMark
		}
		return format(*v)
	}
	var rows [][]string
	for _, part := range r.parts() {
		u := part.used
		if u.CPUMean == nil && u.RSSMean == nil && u.DescriptorsMean == nil {
			continue
		}
		rows = append(rows, []string{part.name, text(u.CPUMean, significant), text(u.CPUMax, significant), text(u.RSSMean, formatBytes),
			text(u.RSSMax, formatBytes), text(u.DescriptorsMean, formatNearest), text(u.DescriptorsMax, formatWhole)})
	}
	return rows
}

// contractLine says what the gateway was judged by, and how it was spoken to.
func contractLine(run RunInfo) string {
	g := run.Guarantees
	if g.Delivery == "" {
		return "" // a run of before there were guarantees
	}
	parts := []string{g.Delivery}
	if g.Ordered {
		parts = append(parts, "ordered")
	} else {
		parts = append(parts, "in any order")
	}
	if g.Sheds {
		parts = append(parts, "may shed what it reports")
	}
	if g.Resumes {
		parts = append(parts, "clients that return get what they missed")
	}
	line := "the gateway declares " + strings.Join(parts, ", ")
	if run.Profile != "" {
		line += " (profile " + run.Profile + ")"
	}
	return line
}

// formatNearest writes a mean of counts.
func formatNearest(v float64) string { return formatWhole(math.Round(v)) }

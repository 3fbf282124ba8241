package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/weirbench/weir/internal/thousands"
	"github.com/weirbench/weir/scenarios"
)

// formatNS writes a measured span with three significant digits and the unit that fits: 840 ns, 61.2 µs, 1.67 ms,
// 2.00 s, 3 min 20 s.
func formatNS(ns float64) string { return formatSpanNS(ns, significant) }

// formatLimit writes a span that somebody chose: 50 ms, not 50.0 ms.
func formatLimit(ns float64) string {
	return formatSpanNS(ns, func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) })
}

func formatSpanNS(ns float64, digits func(float64) string) string {
	sign := ""
	if ns < 0 {
		sign, ns = "−", -ns
	}
	if ns >= 99.95e9 {
		total := int64(math.Round(ns / 1e9))
		return fmt.Sprintf("%s%d min %d s", sign, total/60, total%60)
	}
	for _, u := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if roundDigits(ns) >= u.ns {
			return sign + digits(ns/u.ns) + " " + u.name
		}
	}
	return sign + strconv.FormatFloat(math.Round(ns), 'f', 0, 64) + " ns"
}

// roundDigits rounds to three significant digits, so that 999.6 µs becomes 1.00 ms and not 1000 µs.
func roundDigits(v float64) float64 {
	if v == 0 {
		return 0
	}
	scale := math.Pow(10, math.Floor(math.Log10(v))-2)
	return math.Round(v/scale) * scale * (1 + 1e-12)
}

// significant writes a number below 1,000 with three significant digits.
func significant(v float64) string {
	switch {
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// formatCount writes a whole number with its thousands apart: 1,234,567.
func formatCount(n int64) string { return strings.Replace(thousands.Of(n), "-", "−", 1) }

// formatShare writes a share of one in percent, with as many digits as tell it from the whole: 99.9987%.
func formatShare(share float64) string {
	percent := share * 100
	for digits := 0; digits < 8; digits++ {
		s := strconv.FormatFloat(percent, 'f', digits, 64)
		rounded, _ := strconv.ParseFloat(s, 64)
		whole := (rounded == 100) != (percent == 100) || (rounded == 0) != (percent == 0)
		if !whole && math.Abs(rounded-percent) <= 0.005*min(percent, 100-percent)+1e-9 {
			return s + "%"
		}
	}
	return strconv.FormatFloat(percent, 'g', 8, 64) + "%"
}

// formatRate writes messages per second.
func formatRate(perSecond float64) string {
	if perSecond >= 100 || perSecond == math.Trunc(perSecond) {
		return formatCount(int64(math.Round(perSecond))) + "/s"
	}
	return strconv.FormatFloat(perSecond, 'f', 2, 64) + "/s"
}

// formatBound writes a threshold's limit in its unit.
func formatBound(v float64, unit string) string {
	switch unit {
	case scenarios.UnitNS:
		return formatLimit(v)
	case scenarios.UnitCores:
		return strconv.FormatFloat(v, 'f', -1, 64) + " " + coresNoun(v)
	case scenarios.UnitBytes:
		return formatBytesOf(v, func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) })
	}
	return formatValue(v, unit)
}

// formatValue writes an observed value in its unit.
func formatValue(v float64, unit string) string {
	switch {
	case math.IsInf(v, 1):
		return "missing"
	case unit == scenarios.UnitNS:
		return formatNS(v)
	case unit == scenarios.UnitRatio:
		return formatShare(v)
	case unit == scenarios.UnitPerS:
		return formatRate(v)
	case unit == scenarios.UnitCores:
		return formatCores(v)
	case unit == scenarios.UnitBytes:
		return formatBytes(v)
	}
	return formatCount(int64(math.Round(v)))
}

// formatApart writes an observed value and the limit it was held against. Two that differ never look the same: 50.02 ms
// is not to read as 50.0 ms beside a limit of 50 ms.
func formatApart(v, limit float64, unit string) (value, bound string) {
	value, bound = formatValue(v, unit), formatBound(limit, unit)
	if v == limit || math.IsInf(v, 0) || math.Abs(v-limit) > 0.01*math.Abs(limit) {
		return value, bound
	}
	digits := func(x float64) string { return strconv.FormatFloat(x, 'g', 9, 64) }
	switch unit {
	case scenarios.UnitNS:
		for _, u := range []struct {
			name string
			ns   float64
		}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}, {"ns", 1}} {
			if math.Abs(limit) >= u.ns || u.ns == 1 {
				return digits(v/u.ns) + " " + u.name, bound
			}
		}
	case scenarios.UnitPerS:
		return digits(v) + "/s", bound
	case scenarios.UnitCores:
		return digits(v) + " " + coresNoun(v), bound
	case scenarios.UnitBytes:
		return formatCount(int64(math.Round(v))) + " B", bound
	}
	return value, bound
}

// formatSpan writes how long something took, to a tenth of a second.
func formatSpan(d time.Duration) string {
	if d < 100*time.Second {
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// formatBytes writes a number of bytes with a binary unit.
func formatBytes(n float64) string { return formatBytesOf(n, significantLong) }

func formatBytesOf(n float64, digits func(float64) string) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return digits(n/u.size) + " " + u.name
		}
	}
	return strconv.FormatFloat(n, 'f', 0, 64) + " B"
}

// significantLong is significant for numbers up to 1,023.
func significantLong(v float64) string {
	if v >= 999.5 {
		return formatCount(int64(math.Round(v)))
	}
	return significant(v)
}

// formatCores writes processor time by time.
func formatCores(v float64) string { return significant(v) + " " + coresNoun(v) }

func coresNoun(v float64) string {
	if v == 1 {
		return "core"
	}
	return "cores"
}

// plural writes a count and its noun: 1 message, 2 messages.
func plural(n int64, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "y"):
		return formatCount(n) + " " + strings.TrimSuffix(noun, "y") + "ies"
	}
	return formatCount(n) + " " + noun + "s"
}

// needed is the number of values from which the quantile q is supported.
func needed(q float64) int64 { return int64(math.Ceil(10/(1-q) - 1e-3)) }

// subjectOf is what a threshold is about, with its filters: e2e{phase=burst}.p99.
func subjectOf(t scenarios.Threshold) string {
	if len(t.Filters) == 0 {
		return t.Metric
	}
	var filters []string
	for _, label := range sortedKeys(t.Filters) {
		filters = append(filters, label+"="+t.Filters[label])
	}
	subject, stat := t.Subject()
	return subject + "{" + strings.Join(filters, ",") + "}." + stat
}

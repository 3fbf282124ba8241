package scenarios

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The units of the language. Every parser below takes the text of a scalar and returns an error whose message begins
// with the quoted text and ends with the mend.

var sizeUnits = map[string]float64{
	"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

var rateUnits = map[string]float64{"ms": 1e3, "s": 1, "m": 1.0 / 60, "min": 1.0 / 60, "h": 1.0 / 3600}

var rateSuffixes = map[string]float64{"": 1, "k": 1e3, "M": 1e6}

// parseRate parses messages per second: "1000/s", "20k/s", "50/m", "1.5k/ms".
func parseRate(text string) (float64, error) {
	number, rest := splitNumber(text)
	count, unit, slash := strings.Cut(rest, "/")
	scale, okSuffix := rateSuffixes[strings.TrimSpace(count)]
	perSecond, okUnit := rateUnits[strings.TrimSpace(unit)]
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || !slash || !okSuffix || !okUnit {
		return 0, fmt.Errorf("%s is not a rate (write %s/s)", quote(text), orElse(number, "1000"))
	}
	return value * scale * perSecond, nil
}

// parseSize parses a number of bytes: "256B", "4KiB", "1.5MB".
func parseSize(text string) (int64, error) {
	number, unit := splitNumber(text)
	unit = strings.TrimSpace(unit)
	value, err := strconv.ParseFloat(number, 64)
	scale, ok := sizeUnits[unit]
	if err != nil || !ok {
		mend := orElse(number, "256") + "B"
		if near := sizeUnitNear(unit); near != "" && number != "" {
			mend = number + near
		}
		return 0, fmt.Errorf("%s is not a size (write %s)", quote(text), mend)
	}
	bytes := value * scale
	if bytes != math.Trunc(bytes) {
		return 0, fmt.Errorf("%s is not a whole number of bytes (write %dB)", quote(text), int64(math.Round(bytes)))
	}
	if bytes > math.MaxInt64/2 {
		return 0, fmt.Errorf("%s is too large for a size", quote(text))
	}
	return int64(bytes), nil
}

// sizeUnitNear returns the unit that differs from u in case or a missing B alone.
func sizeUnitNear(u string) string {
	for _, known := range []string{"B", "KiB", "MiB", "GiB", "KB", "MB", "GB"} {
		if strings.EqualFold(u, known) || (u != "" && strings.EqualFold(u+"B", known)) {
			return known
		}
	}
	return ""
}

// parseDuration parses what time.ParseDuration does, without a sign: "30s", "1m30s", "1.5ms".
func parseDuration(text string) (time.Duration, error) {
	number, rest := splitNumber(text)
	d, err := time.ParseDuration(text)
	if err == nil && number != "" && rest != "" {
		return d, nil
	}
	mend := orElse(number, "30") + "s"
	switch strings.TrimSpace(rest) {
	case "sec", "secs", "second", "seconds":
	case "min", "mins", "minute", "minutes":
		mend = number + "m"
	case "msec", "millis", "milliseconds":
		mend = number + "ms"
	case "d", "day", "days":
		mend = "24h"
	case "h", "m", "ms", "us", "µs", "ns":
		if number != "" {
			mend = number + strings.TrimSpace(rest)
		}
	}
	return 0, fmt.Errorf("%s is not a duration (write %s)", quote(text), mend)
}

// parseShare parses a share of one: "0.999" or "99.9%".
func parseShare(text string) (float64, error) {
	number, rest := splitNumber(text)
	exponent := ""
	if rest == "%" {
		exponent = "e-2" // moved as a decimal: 99.9% and 0.999 must be the same number, and 99.9/100 is not
	}
	value, err := strconv.ParseFloat(number+exponent, 64)
	if err != nil || (rest != "" && rest != "%") {
		return 0, fmt.Errorf("%s is not a share (write 0.999 or 99.9%%)", quote(text))
	}
	if value > 1 {
		return 0, fmt.Errorf("%s is more than the whole (write 0.999 or 99.9%%)", quote(text))
	}
	return value, nil
}

// parseCount parses a whole number.
func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s is too large", quote(text))
	}
	plain := err == nil && (text == "0" || text == "-0" || !strings.HasPrefix(strings.TrimLeft(text, "+-"), "0")) && text[0] != '+'
	if !plain {
		return 0, fmt.Errorf("%s is not a whole number (write %s)", quote(text), countMend(text))
	}
	return n, nil
}

// groupedDigits finds whole numbers whose digits are grouped: 1_000, 1,000, 1'000.
var groupedDigits = regexp.MustCompile(`^[1-9][0-9]{0,2}([_,' ][0-9]{3})+$`)

func countMend(text string) string {
	if len(text) <= 24 && groupedDigits.MatchString(text) {
		return strings.NewReplacer("_", "", ",", "", "'", "", " ", "").Replace(text)
	}
	return "3"
}

// parseNumber parses a decimal number without a sign or exponent.
func parseNumber(text string) (float64, error) {
	number, rest := splitNumber(text)
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || rest != "" {
		return 0, fmt.Errorf("%s is not a number (write 1.1)", quote(text))
	}
	return value, nil
}

// parseBool takes true and false alone: YAML 1.1's yes, on and the like mean different things to different readers.
func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	mend := "true or false"
	switch strings.ToLower(text) {
	case "yes", "on", "y", "1", "true":
		mend = "true"
	case "no", "off", "n", "0", "false":
		mend = "false"
	}
	return false, fmt.Errorf("%s is neither true nor false (write %s)", quote(text), mend)
}

// splitNumber splits off the decimal digits, with at most one point, that text begins with. Longer ones than any
// figure here needs are no number.
func splitNumber(text string) (number, rest string) {
	end, point := 0, false
	for end < len(text) && (text[end] >= '0' && text[end] <= '9' || (text[end] == '.' && !point)) {
		point = point || text[end] == '.'
		end++
	}
	number, rest = text[:end], text[end:]
	if len(number) > 20 || number == "." || strings.HasSuffix(number, ".") || strings.HasPrefix(number, ".") {
		return "", text
	}
	return number, rest
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// formatSize writes a number of bytes with the largest binary unit that keeps it short.
func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		size int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(n)/float64(u.size), 'f', 1, 64), ".0") + u.name
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// formatRate writes messages per second.
func formatRate(perSecond float64) string {
	rounded := math.Round(perSecond*1e4) / 1e4
	return strconv.FormatFloat(rounded, 'f', -1, 64) + "/s"
}

// formatDuration writes a duration without the zero units that time.Duration's String ends with.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Package thousands writes whole numbers for people, with their thousands apart: 1,234,567. It imports nothing of weir.
package thousands

import (
	"fmt"
	"strconv"
	"strings"
)

// Of writes a count; one below zero begins with a hyphen.
func Of[T int | int64 | uint64](n T) string { return apart(fmt.Sprint(n)) }

// Rounded writes a figure to the nearest whole number, of two the even one; 0 has no sign. What is no number is written as such.
func Rounded(v float64) string {
	number := strconv.FormatFloat(v, 'f', 0, 64)
	if number == "-0" {
		return "0"
	}
	return apart(number)
}

func apart(number string) string {
	digits := strings.TrimPrefix(number, "-")
	sign := number[:len(number)-len(digits)]
	if digits[0] < '0' || digits[0] > '9' { // NaN, +Inf
		return number
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

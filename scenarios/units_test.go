package scenarios

import (
	"strings"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"1000/s": 1000, "50/m": 50.0 / 60, "3600/h": 1, "20k/s": 20_000, "1.5k/s": 1500, "1M/s": 1e6, "2/ms": 2000,
		"0/s": 0, "60/min": 1, "1000 / s": 1000, "20k /s": 20_000,
	} {
		if got, err := parseRate(text); err != nil || !near(got, want) {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for text, mend := range map[string]string{
		"20x": "20/s", "1000": "1000/s", "": "1000/s", "/s": "1000/s", "-5/s": "1000/s", "1e3/s": "1/s", "20/d": "20/s",
		"20K/s": "20/s", "1_000/s": "1/s", "NaN/s": "1000/s", "Inf/s": "1000/s", "0x10/s": "0/s", "5/s/s": "5/s", "1./s": "1000/s",
	} {
		checkRefused(t, text, mend, func() error { _, err := parseRate(text); return err })
	}
}

func near(got, want float64) bool { return got > want*(1-1e-12)-1e-300 && got < want*(1+1e-12)+1e-300 }

func checkRefused(t *testing.T, text, mend string, parse func() error) {
	t.Helper()
	err := parse()
	if err == nil || !strings.Contains(err.Error(), mend) || !strings.HasPrefix(err.Error(), quote(text)) {
		t.Errorf("%q: got error %v; want one that quotes it and offers %q", text, err, mend)
	}
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"256B": 256, "4KiB": 4096, "1MiB": 1 << 20, "2KB": 2000, "1.5KiB": 1536, "0B": 0, "1GiB": 1 << 30, "8 MiB": 8 << 20,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for text, mend := range map[string]string{
		"256": "256B", "4k": "4KB", "4kib": "4KiB", "4Ki": "4KiB", "": "256B", "-1B": "256B", "0.5B": "1B", "1.0001KiB": "1024B",
		"99999999999999999999GiB": "too large", "999999999999999999999B": "256B", "many": "256B",
	} {
		checkRefused(t, text, mend, func() error { _, err := parseSize(text); return err })
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "1m30s": 90 * time.Second, "1.5ms": 1500 * time.Microsecond, "0s": 0, "24h": 24 * time.Hour, "10µs": 10 * time.Microsecond,
	} {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
	for text, mend := range map[string]string{
		"30": "30s", "0": "0s", "-2s": "30s", "+2s": "30s", "5 minutes": "5m", "20 s": "20s", "1d": "24h", "": "30s",
		"9999999999999h": "9999999999999h", "soon": "30s", "5 ms": "5ms",
	} {
		checkRefused(t, text, mend, func() error { _, err := parseDuration(text); return err })
	}
}

func TestParseShare(t *testing.T) {
	for text, want := range map[string]float64{"0.999": 0.999, "99.9%": 0.999, "1": 1, "100%": 1, "0": 0, "0%": 0} {
		if got, err := parseShare(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"1.1", "101%", "99.9 %", "-1", "", "%", "NaN", "half"} {
		checkRefused(t, text, "0.999 or 99.9%", func() error { _, err := parseShare(text); return err })
	}
}

func TestParseCount(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "3": 3, "-3": -3, "9223372036854775807": 1<<63 - 1} {
		if got, err := parseCount(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
	for text, mend := range map[string]string{
		"010": "write 3", "1_000": "write 1000", "1,000,000": "write 1000000", "1_00": "write 3", "+3": "write 3", "0x10": "write 3", "3.0": "write 3", "": "write 3", "1e3": "write 3",
		"9223372036854775808": "too large",
	} {
		checkRefused(t, text, mend, func() error { _, err := parseCount(text); return err })
	}
}

func TestFormats(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{formatSize(64), "64B"}, {formatSize(1 << 20), "1MiB"}, {formatSize(1600 << 20), "1.6GiB"}, {formatSize(4 << 10), "4KiB"},
		{formatRate(1e6), "1000000/s"}, {formatRate(50.0 / 60), "0.8333/s"},
		{formatDuration(24 * time.Hour), "24h"}, {formatDuration(10 * time.Minute), "10m"}, {formatDuration(0), "0s"},
		{formatDuration(90 * time.Second), "1m30s"}, {formatDuration(20 * time.Second), "20s"},
	} {
		if c.got != c.want {
			t.Errorf("got %s; want %s", c.got, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"provider", "brokers", "seeds", "final_read", "min_isr", "e2e", "ack"}
	for word, want := range map[string]string{
		"provder": "provider", "borkers": "brokers", "Seeds": "seeds", "final-read": "final_read", "minISR": "min_isr",
		"e2": "e2e", "colour": "", "": "", "x": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: got %q; want %q", word, got, want)
		}
	}
}

package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLineWriter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLineBytes+1)
	tests := []struct {
		name   string
		writes []string
		want   []string
	}{
		{"whole lines", []string{"a\nb\n"}, []string{"a", "b"}},
		{"in pieces", []string{"a", "b\nc", "\n"}, []string{"ab", "c"}},
		{"no last break", []string{"a\nb"}, []string{"a", "b"}},
		{"windows breaks", []string{"a\r\n"}, []string{"a"}},
		{"empty lines", []string{"\n\n"}, []string{"", ""}},
		{"nothing", []string{""}, nil},
		{"too long", []string{long + "\n"}, []string{long[:maxLineBytes], "x"}},
		{"too long without a break", []string{long}, []string{long[:maxLineBytes], "x"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			w := &lineWriter{line: func(l string) { got = append(got, l) }}
			for _, p := range tt.writes {
				if n, err := w.Write([]byte(p)); n != len(p) || err != nil {
					t.Fatalf("got %d, %v; want %d", n, err, len(p))
				}
			}
			w.end()
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}

// FuzzLineWriter: however the stream is cut into writes, nothing is lost but line breaks, and no line is too long.
func FuzzLineWriter(f *testing.F) {
	f.Add([]byte("a\nb\r\n"), 1)
	f.Add([]byte(strings.Repeat("x", 3*maxLineBytes)), maxLineBytes)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = max(step, 1)
		var got strings.Builder
		w := &lineWriter{line: func(l string) {
			if len(l) > maxLineBytes {
				t.Fatalf("line of %d bytes", len(l))
			}
			got.WriteString(l)
		}}
		for part := range slices.Chunk(data, step) {
			_, _ = w.Write(part)
		}
		w.end()
		strip := strings.NewReplacer("\n", "", "\r", "")
		if g, want := strip.Replace(got.String()), strip.Replace(string(data)); g != want {
			t.Errorf("got %q; want %q", g, want)
		}
	})
}

func TestLineSinkKeepsTheLast(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.log")
	s, err := newLineSink(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.tail(), " (it wrote nothing)"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	for i := range keptLines + 5 {
		s.add(fmt.Sprint(i))
	}
	s.close()
	s.add("late")
	if got := strings.Count(s.tail(), "\n"); got != keptLines {
		t.Errorf("got %d kept lines; want %d", got, keptLines)
	}
	if !strings.HasSuffix(s.tail(), "24\n  late") {
		t.Errorf("got %q; want the last lines", s.tail())
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(string(file), "\n"), keptLines+5; got != want {
		t.Errorf("got %d lines in the file; want %d", got, want)
	}
}

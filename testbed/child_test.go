package testbed

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestChildContext(t *testing.T) {
	t.Parallel()
	t.Run("ends with standard input", func(t *testing.T) {
		r, w := io.Pipe()
		ctx, cancel := ChildContext(t.Context(), r)
		defer cancel()
		if _, err := w.Write([]byte("ignored")); err != nil {
			t.Fatal(err)
		}
		wantOpen(t, "context", ctx.Done())
		w.Close()
		wantClosed(t, "context", ctx.Done(), time.Second)
		if got := context.Cause(ctx); !errors.Is(got, ErrParentGone) {
			t.Errorf("got cause %v; want %v", got, ErrParentGone)
		}
	})
	t.Run("ends with cancel", func(t *testing.T) {
		r, w := io.Pipe()
		defer w.Close()
		ctx, cancel := ChildContext(t.Context(), r)
		cancel()
		wantClosed(t, "context", ctx.Done(), time.Second)
		if got := context.Cause(ctx); errors.Is(got, ErrParentGone) {
			t.Errorf("got cause %v; want a plain cancellation", got)
		}
	})
}

func TestServeKafkaRefusesNoBrokers(t *testing.T) {
	t.Parallel()
	err := ServeKafka(t.Context(), KafkaChild{}, strings.NewReader(""), io.Discard)
	wantText(t, err, "0 brokers")
}

// TestRetain: a pass is a stall for the broker's clients, so that slow passes must be far between.
func TestRetain(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		pass time.Duration
		want int // passes in a minute
	}{
		{"quick", 0, 300},
		{"slow", 10 * time.Millisecond, 60},
		{"very slow", 100 * time.Millisecond, 28}, // the longest pause
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				got := 0
				retain(ctx, func() {
					got++
					<-time.After(tt.pass)
				})
				if got < tt.want-2 || got > tt.want+1 {
					t.Errorf("got %d passes a minute; want %d", got, tt.want)
				}
			})
		})
	}
}

func TestReadOrders(t *testing.T) {
	t.Parallel()
	first := `{"label":"weir.run=x","docker_host":"unix:///d.sock"}` + "\n"
	tests := []struct {
		name, in string
		done     bool
		err      string
	}{
		{"weir died", first, false, ""},
		{"weir is done", first + `{"done":true}` + "\n", true, ""},
		{"nothing", "", false, "no label"},
		{"garbage", "x\n", false, `read order "x"`},
		{"garbage after", first + "x\n", false, `read order "x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readOrders(strings.NewReader(tt.in))
			if tt.err != "" {
				wantText(t, err, tt.err)
				return
			}
			want := reaperOrder{Label: "weir.run=x", DockerHost: "unix:///d.sock", Done: tt.done}
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

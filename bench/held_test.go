package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHeld: a connection or a program that ends within the window spoils it, also where it does so at its very end.
func TestHeld(t *testing.T) {
	torn := errors.New("1 of its connections ended")
	whole := func() error { return nil }
	if err := held(t.Context(), "measuring", time.Millisecond, whole); err != nil {
		t.Errorf("got %v of a window in which nothing ended", err)
	}
	looks := 0
	later := func() error {
		if looks++; looks > 1 {
			return torn
		}
		return nil
	}
	if err := held(t.Context(), "measuring", time.Millisecond, later); !errors.Is(err, torn) {
		t.Errorf("got %v; want what the last look found", err)
	}
	p, err := start(t.Context(), filepath.Join(t.TempDir(), "log"), nil, nil, "true")
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := held(t.Context(), "measuring", time.Hour, whole, p); err == nil || !strings.HasPrefix(err.Error(), "measuring ended too early: exit status 0") {
		t.Errorf("got %v; want the program's end", err)
	}
}

// TestCounted: what was not counted to the window's end, or not at all, is no figure.
func TestCounted(t *testing.T) {
	l := line{{100, 10}, {200, 20}, {300, 20}}
	if n, err := counted(l, span{100, 200}); err != nil || n != 10 {
		t.Errorf("got %v, %v; want 10", n, err)
	}
	for name, within := range map[string]span{"beyond the last look": {100, 301}, "nothing came": {200, 300}} {
		if n, err := counted(l, within); err == nil {
			t.Errorf("%s: got %v messages", name, n)
		}
	}
	if n, err := counted(nil, span{1, 2}); err == nil {
		t.Errorf("got %v of a program that told nothing", n)
	}
}

// TestK6Torn: the script's counter tells of connections that ended; while there is none, none has.
func TestK6Torn(t *testing.T) {
	answer := `{"errors":[{"status":"404"}]}`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/metrics/connections_ended" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = w.Write([]byte(answer))
	}))
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer server.Close()
	k := &k6{api: server.URL + "/v1/metrics/", p: &process{log: "the log"}}
	if err := k.torn(); err != nil {
		t.Errorf("got %v; want none ended", err)
	}
	answer = `{"data":{"attributes":{"sample":{"count":3}}}}`
	if err := k.torn(); err == nil || err.Error() != "3 of its connections ended by themselves (the log)" {
		t.Errorf("got %v; want 3 ended", err)
	}
}

// TestReadyIsBounded: a gateway that takes the question and never answers holds nothing up.
func TestReadyIsBounded(t *testing.T) {
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if ready(ctx, strings.TrimPrefix(server.URL, "http://")) {
		t.Error("it is taken to be ready")
	}
}

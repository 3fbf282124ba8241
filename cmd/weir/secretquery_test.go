package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/weirbench/weir/internal/testkit"
	"github.com/weirbench/weir/report"
)

// TestSecretInAQuery: the target gets the token and tells it back; it is in nothing that the run leaves.
func TestSecretInAQuery(t *testing.T) {
	t.Parallel()
	const secret = "query-canary &%9c1d-0123456789"
	kafka := testkit.Kafka(t, 1)
	var got atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("access_token") {
		case "": // the look at the target before the run
			if c, err := (&websocket.Upgrader{}).Upgrade(w, r, nil); err == nil {
				_ = c.Close()
			}
			return
		case "v1-" + secret:
			got.Add(1)
		}
		http.Error(w, "you said "+r.URL.String()+" and "+secret, http.StatusForbidden)
	}))
	t.Cleanup(target.Close)
	w := startRunWith(t, []string{"WEIR_TEST_QUERY=" + secret}, fmt.Sprintf(`
version: 1
name: token
kafka: {provider: external, seeds: ["%s"], topics: [{name: prices}]}
gateway:
  target: external
  url: %s/ws
  profile: {query: {access_token: {env: WEIR_TEST_QUERY, prefix: v1-}}}
producers: [{name: feed, topic: prices, rate: 1/s}]
clients: [{name: viewers, count: 1, connect_rate: 10/s, subscribe: {topic: prices}}]
phases: {connect: {deadline: 1s}, measure: [{name: steady, duration: 1s}]}
`, kafka.ListenAddrs()[0], "ws"+strings.TrimPrefix(target.URL, "http")))
	if code := w.wait(); code != report.ExitError {
		t.Errorf("got exit %d; want %d", code, report.ExitError)
	}
	if got.Load() == 0 {
		t.Error("the target did not get the token")
	}
	texts := w.artefacts()
	texts["stdout"], texts["stderr"] = w.stdout.String(), w.stderr.String()
	if !strings.Contains(texts["run.log decoded"], "WEIR_TEST_QUERY") {
		t.Error("the run's log does not name the variable")
	}
	for _, form := range []string{secret, url.QueryEscape(secret)} {
		if found := findSecret(texts, form); len(found) > 0 {
			t.Errorf("the token stands in %v", found)
		}
	}
}

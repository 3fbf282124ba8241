package scenarios

import (
	"strings"
	"testing"
)

// TestResumingInAGroupIsRefused: a gateway in a consumer group refuses positions, so that each return would be a failure.
func TestResumingInAGroupIsRefused(t *testing.T) {
	t.Parallel()
	for group, want := range map[string]string{
		"":                              "",
		"config: {consume: {group: d}}": ".resume: needs a gateway that reads all partitions, and one in a consumer group refuses positions as not_resumable (remove it, or gateway.config.consume.group)",
	} {
		s, err := Parse("s.yaml", []byte(`version: 1
name: s
kafka: {topics: [{name: t}]}
gateway: {`+group+`}
producers: [{name: feed, topic: t, rate: 1/s}]
clients: [{name: g, count: 1, resume: true, subscribe: {topic: t}}]
phases: {measure: [{name: m, duration: 1s}]}
`), Options{})
		if err == nil {
			_, err = s.Resolve()
		}
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v; want %q", group, err, want)
		}
	}
}

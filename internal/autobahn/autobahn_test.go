package autobahn

import (
	"slices"
	"testing"
)

func TestJudge(t *testing.T) {
	for _, tt := range []struct {
		name, index, wantErr string
		cases                int
		wantRemarks          []string
	}{
		{"all right", `{"weir":{"1.1.1":{"behavior":"OK","behaviorClose":"OK"}}}`, "", 1, nil},
		{"remarks", `{"weir":{"6.4.1":{"behavior":"NON-STRICT","behaviorClose":"OK"},"7.1.6":{"behavior":"OK","behaviorClose":"INFORMATIONAL"}}}`,
			"", 2, []string{"6.4.1: NON-STRICT, close OK", "7.1.6: OK, close INFORMATIONAL"}},
		{"failed", `{"weir":{"2.1":{"behavior":"FAILED","behaviorClose":"OK"},"2.2":{"behavior":"OK","behaviorClose":"WRONG CODE"}}}`,
			"2.1: FAILED, close OK\n2.2: OK, close WRONG CODE", 2, nil},
		{"not implemented", `{"weir":{"12.1.1":{"behavior":"UNIMPLEMENTED","behaviorClose":"OK"}}}`, "12.1.1: UNIMPLEMENTED, close OK", 1, nil},
		{"declined", `{"weir":{"13.3.1":{"behavior":"UNIMPLEMENTED","behaviorClose":"OK"},"13.3.2":{"behavior":"UNIMPLEMENTED","behaviorClose":"FAILED"},"13.30.1":{"behavior":"UNIMPLEMENTED","behaviorClose":"OK"}}}`,
			"13.3.2: UNIMPLEMENTED, close FAILED\n13.30.1: UNIMPLEMENTED, close OK", 3, []string{"13.3.1: UNIMPLEMENTED, close OK"}},
		{"missing", `{"weir":{"2.1":{"behavior":"OK","behaviorClose":"OK"}}}`, "1 cases were run, want 301", quickCases, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, err := parseVerdicts([]byte(tt.index))
			if err != nil {
				t.Fatal(err)
			}
			remarks, err := Level{Cases: tt.cases, Declined: []string{"13.3."}}.Judge(v)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.wantErr || !slices.Equal(remarks, tt.wantRemarks) {
				t.Errorf("got %q, %q; want %q, %q", remarks, got, tt.wantRemarks, tt.wantErr)
			}
		})
	}
	for _, index := range []string{"", "{}", `{"a":{},"b":{}}`} {
		if _, err := parseVerdicts([]byte(index)); err == nil {
			t.Errorf("index %q: got no error", index)
		}
	}
}

// The suite's server comes up and is stopped, which is what a test of a client needs of it.
func TestFuzzingServerRuns(t *testing.T) {
	level := Asked(t)
	if url, out := level.FuzzClient(t); url == "" || out == "" {
		t.Errorf("got %q, %q", url, out)
	}
}

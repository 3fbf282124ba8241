// Package edges keeps the import graph's forbidden edges.
package edges

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/weirbench/weir/"

// forbidden lists, by package, what it must not depend on, directly or through others.
var forbidden = map[string][]string{
	"loadgen":   {"gateway", "testbed", "runner", "report", "cmd/weir"},
	"report":    {"loadgen", "gateway", "testbed", "runner"},
	"gateway":   {"scenarios", "results", "loadgen", "testbed", "runner", "report"},
	"results":   {"loadgen", "gateway", "testbed", "runner", "report"},
	"scenarios": {"results", "loadgen", "gateway", "testbed", "runner", "report"},
	"testbed":   {"results", "loadgen", "gateway", "runner", "report"},
	"runner":    {"gateway"},
	"targets":   {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal", "cmd"},
	// Both the gateway and the harness use it.
	"internal/settings":   {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal", "cmd"},
	"internal/hosts":      {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal/settings", "internal/kafkasec", "cmd"},
	"internal/nulltarget": {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal/settings", "internal/hosts", "internal/kafkasec", "cmd"},
	// It asks internal/hosts alone, which knows nobody.
	"internal/kafkasec": {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal/settings", "internal/doctor", "cmd"},
	// It reads what the kernel tells, for whoever asks.
	"internal/machine": {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal", "cmd"},
	// It writes numbers, for whoever shows them.
	"internal/thousands": {"scenarios", "results", "loadgen", "testbed", "runner", "report", "gateway", "internal", "cmd"},
}

func TestForbiddenEdges(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Deps " "}}`, module+"...").Output()
	if err != nil {
		t.Fatalf("list the packages: %v", err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		path, deps, _ := strings.Cut(strings.TrimSpace(line), ": ")
		pkg := strings.TrimPrefix(path, module)
		checked += len(forbidden[pkg])
		for _, target := range forbidden[pkg] {
			for dep := range strings.FieldsSeq(deps) {
				if dep == module+target || strings.HasPrefix(dep, module+target+"/") {
					t.Errorf("%s depends on %s", pkg, target)
				}
			}
		}
	}
	want := 0
	for _, targets := range forbidden {
		want += len(targets)
	}
	if checked != want {
		t.Errorf("checked %d edges; want %d: a package of the list is not there", checked, want)
	}
}

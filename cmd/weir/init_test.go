package main

import (
	"strings"
	"testing"

	"github.com/weirbench/weir/scenarios"
)

// TestStartersResolve: whatever of the library a scenario is begun from, the copy is one, with its own name and without
// what is true of the library's file alone.
func TestStartersResolve(t *testing.T) {
	if len(scenarios.Library()) == 0 {
		t.Fatal("the library is empty")
	}
	for _, name := range scenarios.Library() {
		t.Run(name, func(t *testing.T) {
			text, err := starter(name, "mine", "load/mine.yaml")
			if err != nil {
				t.Fatal(err)
			}
			scenario, err := scenarios.Parse("load/mine.yaml", text, scenarios.Options{})
			if err != nil {
				t.Fatal(err)
			}
			plan, err := scenario.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			if plan.Name != "mine" {
				t.Errorf("got the name %q; want mine", plan.Name)
			}
			for _, library := range []string{"weir run " + name, "# docs/", "yaml-language-server"} {
				if strings.Contains(string(text), library) {
					t.Errorf("the copy says %q, which is true of the library's file alone", library)
				}
			}
		})
	}
}

package main

import (
	"os"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

// TestStalledWarmUp: the slow clients' queues are full before it is measured.
func TestStalledWarmUp(t *testing.T) {
	text, err := os.ReadFile("scenarios/stalled.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Phases struct {
			WarmUp time.Duration `yaml:"warm-up"`
		} `yaml:"phases"`
	}
	if err := yaml.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	if full := 7 * time.Second; said.Phases.WarmUp <= full {
		t.Errorf("got a warm-up of %s; want more than the %s that the queues take to fill", said.Phases.WarmUp, full)
	}
}

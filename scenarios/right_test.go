package scenarios

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestRightScenarios holds the plans of scenarios that are right, and what they cost, to their golden files.
func TestRightScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/right/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d right scenarios (%v); want some", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Load(file, headOptions("testdata/right", data))
			if err != nil {
				t.Fatal(err)
			}
			p, err := s.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			cost := p.Cost()
			cost.PeakDeliveries = math.Round(cost.PeakDeliveries) // the last bits are the processor's
			got, err := json.MarshalIndent(struct {
				Plan *Plan `json:"plan"`
				Cost Cost  `json:"cost"`
			}{p, cost}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			data, err = json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if again := new(Plan); json.Unmarshal(data, again) != nil || !reflect.DeepEqual(again, p) {
				t.Errorf("got %+v back from JSON; want %+v", again, p)
			}
			compareGolden(t, strings.TrimSuffix(file, ".yaml")+".golden", string(got)+"\n")
		})
	}
}

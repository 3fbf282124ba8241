package results

import (
	"fmt"
	"math"
)

// SeriesSet merges the series of many intervals, one merged series (some 180 KB) a stage and label. The zero value is
// empty and ready. It has one user at a time.
type SeriesSet struct {
	byKey  map[seriesKey]*Series
	order  []seriesKey
	totals map[Stage]int64
}

type seriesKey struct {
	stage Stage
	label Label
}

// Add merges src into the set's series of the same stage and label; src stays the caller's. On an error (a histogram
// not of NewHistogram's geometry, more values than int64 counts) the set is unchanged.
func (s *SeriesSet) Add(src Series) error {
	if s.totals[src.Stage] > math.MaxInt64-src.Count() {
		return fmt.Errorf("add series %s: %w", src.Stage, errTooMany)
	}
	key := seriesKey{src.Stage, src.Label}
	dst := s.byKey[key]
	if dst == nil {
		dst = &Series{Stage: src.Stage, Label: src.Label}
	}
	if err := MergeSeries(dst, src); err != nil {
		return err
	}
	s.keep(key, dst)
	s.totals[src.Stage] += src.Count()
	return nil
}

func (s *SeriesSet) keep(key seriesKey, series *Series) {
	if s.byKey == nil {
		s.byKey = make(map[seriesKey]*Series)
		s.totals = make(map[Stage]int64)
	}
	if s.byKey[key] == nil {
		s.byKey[key] = series
		s.order = append(s.order, key)
	}
}

// Get returns the merger of the stage's series whose label matches; a nil match takes all. The result is the caller's
// own, its label has the fields in which all merged ones agree, and it is empty, never without a histogram, where none
// matches.
func (s *SeriesSet) Get(stage Stage, match func(Label) bool) Series {
	var merged Series
	for _, key := range s.order {
		if key.stage != stage || match != nil && !match(key.label) {
			continue
		}
		// Cannot fail: Add checked each geometry and keeps the stage's total within int64.
		_ = MergeSeries(&merged, *s.byKey[key])
	}
	merged.Stage = stage
	if merged.Histogram == nil {
		merged.Histogram = NewHistogram()
	}
	return merged
}

// Labels returns the labels that the set has for the stage, in the order in which they were first added.
func (s *SeriesSet) Labels(stage Stage) []Label {
	var labels []Label
	for _, key := range s.order {
		if key.stage == stage {
			labels = append(labels, key.label)
		}
	}
	return labels
}

// Stages returns the stages that the set has series of, in the order in which they were first added.
func (s *SeriesSet) Stages() []Stage {
	var stages []Stage
	seen := make(map[Stage]bool)
	for _, key := range s.order {
		if !seen[key.stage] {
			seen[key.stage] = true
			stages = append(stages, key.stage)
		}
	}
	return stages
}

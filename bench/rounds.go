package main

import "github.com/weirbench/weir/internal/benchtable"

// rounds are the figures of one candidate in all rounds.
type rounds[F any] []F

// sample takes one figure out of all rounds.
func (r rounds[F]) sample(of func(F) float64) benchtable.Sample {
	var s benchtable.Sample
	for _, figures := range r {
		s = append(s, of(figures))
	}
	return s
}

// figure writes one value, and a dash where there is none.
func figure(v float64, format func(float64) string) string { return benchtable.Sample{v}.Cell(format) }

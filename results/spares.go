package results

import "github.com/HdrHistogram/hdrhistogram-go"

// Spares makes an interval's series in the memory of an earlier one's, since a histogram takes 180 KB and a series has
// up to two. The zero value is ready. It has one user at a time.
type Spares struct {
	free []*hdrhistogram.Histogram // all empty
}

// AddTo does what r.AddTo(dst) does and takes the histograms that dst has not from the spare ones, as far as there are
// any.
func (s *Spares) AddTo(dst *Series, r *Recorder) error { return r.addTo(dst, s.histogram) }

func (s *Spares) histogram() *hdrhistogram.Histogram {
	last := len(s.free) - 1
	if last < 0 {
		return NewHistogram()
	}
	h := s.free[last]
	s.free[last] = nil
	s.free = s.free[:last]
	return h
}

// Take empties the series' histograms and keeps them for later ones. Nobody may use the interval's series, nor a copy
// of one, from then on: to make that show, the interval is left without any. Spare histograms that were not needed since
// the last Take are given up, so that there are never more than one interval had. A histogram that is not of
// NewHistogram's geometry is not kept.
func (s *Spares) Take(in *Interval) {
	clear(s.free)
	s.free = s.free[:0]
	for i := range in.Series {
		for _, h := range []*hdrhistogram.Histogram{in.Series[i].Histogram, in.Series[i].Negative} {
			if h != nil && checkGeometry(h) == nil {
				h.Reset()
				s.free = append(s.free, h)
			}
		}
	}
	in.Series = nil
}

package report

import (
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/weirbench/weir/results"
)

// heatmap is the latency of every delivery over time: how many arrived in each stretch with a latency in each bin.
type heatmap struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	Times  []float64  `json:"times"` // where the columns begin, seconds since the start; the last is the end
	Edges  []float64  `json:"edges"` // where the rows begin, ns; the last is the end
	Cells  [][]int64  `json:"cells"` // by column: row, count, row, count …
	Aside  string     `json:"-"`
	Header []string   `json:"-"`
	Rows   [][]string `json:"-"`
}

// heatSteps are the bins of a decade: the preferred numbers of ISO 3's R10.
var heatSteps = []float64{1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8}

// heatEdges are where the bins begin, in nanoseconds, from results.LowestNS up. What lies below the first is bin 0.
var heatEdges = sync.OnceValue(func() []int64 {
	edges := []int64{0}
	for decade := float64(results.LowestNS); decade <= float64(results.HighestNS); decade *= 10 {
		for _, step := range heatSteps {
			edges = append(edges, int64(math.Round(decade*step)))
		}
	}
	return edges
})

// heatBin is the bin that a latency falls into.
func heatBin(ns int64) int {
	i, exact := slices.BinarySearch(heatEdges(), ns)
	if exact {
		return i
	}
	return max(i-1, 0)
}

// heatOf counts a series into bins.
func heatOf(s results.Series) map[int]int64 {
	if s.Count() == 0 {
		return nil
	}
	bins := map[int]int64{}
	for b := range s.Buckets() {
		bins[heatBin(b.HighNS)] += b.Count
	}
	return bins
}

// heatRows bounds the lines of the heatmap's table.
const heatRows = 60

// latencyHeatmap is nil where nothing arrived.
func latencyHeatmap(t *timeline) *heatmap {
	low, high := len(heatEdges()), -1
	for _, m := range t.moments {
		for bin := range m.heat {
			low, high = min(low, bin), max(high, bin)
		}
	}
	if high < 0 {
		return nil
	}
	h := &heatmap{ID: "latency-heat", Title: "Every delivery's latency over time",
		Aside: "A column is a stretch of time, a row a range of latency, ten to a decade; the darker the cell (in dark mode the brighter), the more deliveries, on a logarithmic scale."}
	for bin := low; bin <= high+1; bin++ {
		h.Edges = append(h.Edges, binEdge(bin))
	}
	for i := range t.moments {
		m := &t.moments[i]
		h.Times = append(h.Times, sinceStart(t, m.startAt))
		cells := []int64{}
		for _, bin := range sortedInts(m.heat) {
			cells = append(cells, int64(bin-low), m.heat[bin])
		}
		h.Cells = append(h.Cells, cells)
	}
	h.Times = append(h.Times, sinceStart(t, t.moments[len(t.moments)-1].endAt))
	h.table(t, low, high)
	return h
}

func binEdge(bin int) float64 {
	edges := heatEdges()
	if bin >= len(edges) {
		return float64(edges[len(edges)-1]) * 1.25
	}
	return float64(edges[bin])
}

// table has the heatmap's numbers in steps of 1, 2 and 5, and where there are many columns several to a line.
func (h *heatmap) table(t *timeline, low, high int) {
	var bounds []int // the bins at which the table's columns begin
	for bin := low; bin <= high; bin++ {
		if step := (bin - 1) % 10; bin == low || bin == 0 || step == 0 || step == 3 || step == 7 {
			bounds = append(bounds, bin)
		}
	}
	h.Header = []string{"time"}
	for _, bin := range bounds {
		h.Header = append(h.Header, "from "+formatLimit(binEdge(bin)))
	}
	every := (len(t.moments) + heatRows - 1) / heatRows
	for from := 0; from < len(t.moments); from += every {
		row := make([]int64, len(bounds))
		for _, m := range t.moments[from:min(from+every, len(t.moments))] {
			for bin, n := range m.heat {
				column, exact := slices.BinarySearch(bounds, bin)
				if !exact {
					column--
				}
				row[column] += n
			}
		}
		cells := []string{timeText(sinceStart(t, t.moments[from].startAt))}
		for _, n := range row {
			cells = append(cells, formatCount(n))
		}
		h.Rows = append(h.Rows, cells)
	}
	if every > 1 {
		h.Aside += " A line of the table is " + strconv.Itoa(every) + " columns."
	}
}

func sortedInts(m map[int]int64) []int {
	var keys []int
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

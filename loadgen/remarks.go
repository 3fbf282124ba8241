package loadgen

import (
	"maps"
	"slices"
	"strings"

	"github.com/weirbench/weir/internal/scrub"
)

// maxRemarks bounds the distinct texts: a target chooses its close reasons, and a hostile one could choose a new one
// each time.
const maxRemarks = 200

// otherRemarks stands for what came beyond the bound.
const otherRemarks = "further remarks, too many to keep apart"

// remarks counts things that happen rarely, by their text. The zero value is empty; its owner guards it.
type remarks struct {
	hide *scrub.Scrubber
	all  map[string]int64
	news map[string]int64 // since the last take
}

func (r *remarks) add(text string) {
	text = r.hide.Text(text)
	if r.all == nil {
		r.all, r.news = map[string]int64{}, map[string]int64{}
	}
	if _, known := r.all[text]; !known && len(r.all) >= maxRemarks {
		text = otherRemarks
	}
	r.all[text]++
	r.news[text]++
}

// take returns what came since the last call.
func (r *remarks) take() map[string]int64 {
	news := maps.Clone(r.news)
	clear(r.news)
	return news
}

// byCount lists the texts, the most frequent first.
func byCount(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return int(counts[b] - counts[a])
		}
		return strings.Compare(a, b)
	})
}

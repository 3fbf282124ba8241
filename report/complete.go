package report

import (
	"fmt"

	"github.com/weirbench/weir/results"
)

// SummariseComplete opens the run in dir and summarises it, if it came to its end without trouble: the figures of any other are
// not those of the whole work, and the error says for which target and how it ended.
func SummariseComplete(dir string) (*Summary, error) {
	run, err := results.Open(dir)
	if err != nil {
		return nil, err
	}
	s, err := Summarise(run)
	switch {
	case err != nil:
		return nil, err
	case s.Run.Error != "":
		return nil, fmt.Errorf("%s: %s", s.Run.Target, s.Run.Error)
	case s.Status != results.StatusComplete:
		return nil, fmt.Errorf("%s: the run is %s", s.Run.Target, s.Status)
	}
	return s, nil
}

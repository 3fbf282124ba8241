package testbed

import "time"

// ResourceUse is what processes use, with all that they started: summed over the tree of each pid.
type ResourceUse struct {
	CPUSeconds  float64 `json:"cpu_seconds"` // user and system, since each process's start; 10 ms resolution
	RSSBytes    int64   `json:"rss_bytes"`   // resident memory; pages that processes share count for each
	Descriptors int     `json:"descriptors"` // open ones; 0 where they can't be seen
	Goroutines  int     `json:"goroutines"`  // 0 where nobody says; what the target says of itself, no sum
	// At is when it was like this, where Target.Usage says it.
	At time.Time `json:"-"`
}

// Package runner owns a run: it stands the testbed up, walks the phases, feeds each interval to the writer and the judge,
// shuts everything down in order and leaves a run directory behind, whatever happened in between.
//
// It measures nothing itself and knows no flags. Run returns after every goroutine, process and container that it
// started is gone.
package runner

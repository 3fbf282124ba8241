package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// leastStopIn is how long an orderly end may take of a target that says nothing of it: the steps of a process's stop.
const leastStopIn = 3 * defaultGrace

// startInstances starts so many of a target, one after the other, each by a call of start that gets its own options. One is
// the target itself. Where one dies while another starts, that start is cancelled. On an error nothing is left running.
func startInstances(ctx context.Context, count int, o Options, start func(context.Context, Options) (*Target, error)) (*Target, error) {
	if count < 2 {
		return start(ctx, o)
	}
	starting, cancel := context.WithCancel(ctx)
	defer cancel()
	all := newEnsemble(cancel)
	for i := range count {
		own := o
		own.instance = fmt.Sprintf("-%d", i+1)
		own.RunID += own.instance
		t, err := start(starting, own)
		if err == nil {
			all.add(t)
		}
		switch died := all.Err(); {
		case died != nil:
			return nil, errors.Join(fmt.Errorf("start %d instances: %w", count, died), all.stopNow())
		case err != nil:
			return nil, errors.Join(fmt.Errorf("instance %d of %d: %w", i+1, count, err), all.stopNow())
		}
	}
	first := all.targets[0]
	return &Target{
		URL: first.URL, Further: all.further(), Description: fmt.Sprintf("%s, %d instances", first.Description, count),
		part: all, instances: all.targets, stopIn: first.stopIn,
	}, nil
}

// ensemble is several targets that run as one: it has ended unasked when the first of them has. Each has a goroutine that
// waits for its end, and ends with Stop.
type ensemble struct {
	targets []*Target
	watches sync.WaitGroup
	stopped chan struct{}
	stop    sync.Once
	stopErr error

	died  chan struct{}
	onEnd func() // called when died is closed
	mu    sync.Mutex
	err   error
}

func newEnsemble(onEnd func()) *ensemble {
	return &ensemble{stopped: make(chan struct{}), died: make(chan struct{}), onEnd: onEnd}
}

func (e *ensemble) add(t *Target) {
	e.targets = append(e.targets, t)
	number := len(e.targets)
	e.watches.Go(func() {
		select {
		case <-e.stopped:
		case <-t.Done():
			e.mu.Lock()
			defer e.mu.Unlock()
			if e.err == nil {
				e.err = fmt.Errorf("instance %d: %w", number, t.Err())
				close(e.died)
				e.onEnd()
			}
		}
	})
}

// further lists where clients connect to all but the first.
func (e *ensemble) further() (urls []string) {
	for _, t := range e.targets[1:] {
		urls = append(urls, t.URL)
	}
	return urls
}

// Done is closed when one of them has ended unasked.
func (e *ensemble) Done() <-chan struct{} { return e.died }

// Err says which, and how.
func (e *ensemble) Err() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}

// stopNow ends those that have started, within the time that the slowest of them may take.
func (e *ensemble) stopNow() error {
	within := leastStopIn
	for _, t := range e.targets {
		within = max(within, t.stopIn)
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return e.Stop(ctx)
}

// Stop ends all of them at once. Idempotent.
func (e *ensemble) Stop(ctx context.Context) error {
	e.stop.Do(func() {
		close(e.stopped)
		e.watches.Wait()
		errs := make([]error, len(e.targets))
		var stopping sync.WaitGroup
		for i, t := range e.targets {
			stopping.Go(func() {
				if err := t.Stop(ctx); err != nil {
					errs[i] = fmt.Errorf("instance %d: %w", i+1, err)
				}
			})
		}
		stopping.Wait()
		e.stopErr = errors.Join(errs...)
	})
	return e.stopErr
}

// sumUsage is what all of them use together; the descriptors are the fullest one's, since each has its own limit. What is not
// known of one is not known of all.
func sumUsage(instances []*Target) (sum ResourceUse, err error) {
	goroutines := true
	var errs []error
	for i, t := range instances {
		use, err := t.Usage()
		if err != nil {
			errs = append(errs, fmt.Errorf("instance %d: %w", i+1, err))
		}
		sum.CPUSeconds += use.CPUSeconds
		sum.RSSBytes += use.RSSBytes
		sum.Descriptors = max(sum.Descriptors, use.Descriptors)
		sum.Goroutines += use.Goroutines
		goroutines = goroutines && use.Goroutines > 0
		sum.At = use.At
	}
	if !goroutines {
		sum.Goroutines = 0 // a part of them says nothing
	}
	if sum.At.IsZero() {
		sum.At = time.Now()
	}
	return sum, errors.Join(errs...)
}

// URLs lists where clients connect, of each instance.
func (t *Target) URLs() []string { return append([]string{t.URL}, slices.Clone(t.Further)...) }

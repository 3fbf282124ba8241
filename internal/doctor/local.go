package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/weirbench/weir/internal/machine"
	"github.com/weirbench/weir/loadgen"
	"github.com/weirbench/weir/scenarios"
	"github.com/weirbench/weir/testbed"
)

// Local is this machine. allowed lists hosts that may be loaded although they are not loopback.
func Local(allowed []string) Machine {
	return Machine{
		Files:       machine.Files(),
		Cores:       runtime.NumCPU(),
		Descriptors: descriptorLimits,
		Tables:      loadgen.TryTable,
		Clock:       clockState,
		Timing:      onceOnly(tryTiming),
		Busy:        processorShares,
		Stamps:      tryStamps,
		Docker:      testbed.InspectDocker,
		Disk:        tryDisk,
		Kafka: func(ctx context.Context, plan *scenarios.Plan) error {
			k, err := testbed.StartKafka(ctx, plan.Kafka, testbed.Options{})
			if err != nil {
				return err
			}
			return k.Stop(ctx)
		},
		Target: func(ctx context.Context, plan *scenarios.Plan) error {
			gateway := plan.Gateway
			gateway.ReadyIn = min(gateway.ReadyIn, 5*time.Second)
			t, err := testbed.StartTarget(ctx, gateway, nil, nil, testbed.Options{AllowTargets: allowed})
			if err != nil {
				return err
			}
			return t.Stop(ctx)
		},
	}
}

func descriptorLimits() (soft, hard uint64, ok bool) {
	soft, hard, err := machine.DescriptorLimits()
	return soft, hard, err == nil
}

// watch is the moment that the machine is watched for.
const watch = 500 * time.Millisecond

// processorShares reads the processors' time at both ends of a moment.
func processorShares(ctx context.Context) (busy, stolen float64, ok bool) {
	first, _, err := machine.ReadProcessorTime(machine.Files())
	if err != nil {
		return 0, 0, false
	}
	select {
	case <-time.After(watch):
	case <-ctx.Done():
	}
	second, _, err := machine.ReadProcessorTime(machine.Files())
	spent, known := second.Since(first)
	if err != nil || !known {
		return 0, 0, false
	}
	all := float64(spent.All())
	return float64(spent.Busy()) / all, float64(spent.Steal) / all, true
}

// onceOnly tries once, for the two checks that look at what came of it.
func onceOnly(try func(context.Context) (Timing, bool)) func(context.Context) (Timing, bool) {
	var once sync.Once
	var t Timing
	var known bool
	return func(ctx context.Context) (Timing, bool) {
		once.Do(func() { t, known = try(ctx) })
		return t, known
	}
}

// tryDisk writes a file where run directories go, or would be made, and takes it away again.
func tryDisk(dir string) (free uint64, err error) {
	dir, err = nearestDir(dir)
	if err != nil {
		return 0, err
	}
	f, err := os.CreateTemp(dir, ".weir-doctor-*")
	if err != nil {
		return 0, errors.Unwrap(err) // the name that was tried says nothing
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString("weir\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	free, _ = freeBytes(dir)
	return free, nil
}

// nearestDir is dir, or where it is not there yet the nearest directory above it that is.
func nearestDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", errors.New(dir + " is a file")
		case !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir):
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

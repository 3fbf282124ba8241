package results

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

// killDir is the environment variable that makes the test binary the process that TestAKilledRunOpens kills.
const killDir = "WEIR_RESULTS_TEST_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		if err := writeUntilKilled(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// A histogram of 180 KB is slow under the race detector: fewer checks by default, more with -rapid.checks.
	if err := flag.Set("rapid.checks", "30"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled records a run as fast as it can and says on out what it has completed: the plan as -1, then each
// interval's index. It ends by itself when nobody reads that any more.
func writeUntilKilled(dir string, out io.Writer) error {
	w, err := Create(dir)
	if err != nil {
		return err
	}
	if err := w.Plan(samplePlan()); err != nil {
		return err
	}
	in := sampleInterval(0, 100)
	for i := -1; ; i++ {
		if i >= 0 {
			in.Index = i
			in.Counters[0].Value = int64(i) * 7
			if err := w.Interval(in); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(out, i); err != nil {
			return err
		}
	}
}

// TestAKilledRunOpens kills a recording process a hundred times, each at a random instant within its first tens of
// milliseconds of recording. All that the process had completed must be there, as it was written. (At most the last two
// intervals may be missing by the design; a record is one write, so none is.)
func TestAKilledRunOpens(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("WEIR_TEST_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("WEIR_TEST_SEED=%d", seed)
	kills := 100
	if testing.Short() {
		kills = 10
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	after := make(chan time.Duration)
	var (
		workers         sync.WaitGroup
		mu              sync.Mutex
		intervals, torn int
	)
	root := t.TempDir()
	for worker := range 3 { // start-up, more wait than work, is most of the time
		workers.Go(func() {
			n := 0
			for delay := range after {
				n++
				read, damaged := killOnce(t, filepath.Join(root, fmt.Sprint(worker, "-", n)), delay)
				mu.Lock()
				intervals += read
				if damaged {
					torn++
				}
				mu.Unlock()
			}
		})
	}
	for range kills {
		after <- time.Duration(rng.Int64N(int64(60 * time.Millisecond)))
	}
	close(after)
	workers.Wait()
	t.Logf("%d kills, %d intervals read back, %d logs with a torn record", kills, intervals, torn)
	if intervals == 0 {
		t.Error("no process wrote an interval before it was killed: the test tested nothing")
	}
}

// killOnce returns how many intervals the killed process's log has, and whether it ends in a torn record.
func killOnce(t *testing.T, dir string, delay time.Duration) (intervals int, torn bool) {
	completed, ok := recordAndKill(t, dir, delay)
	if !ok {
		return 0, false
	}
	r, err := Open(dir)
	if err != nil {
		t.Errorf("killed after %v: %v", delay, err)
		return 0, false
	}
	if r.Status() != StatusPartial {
		t.Errorf("killed after %v: status %s, want partial", delay, r.Status())
	}
	if got := r.IntervalCount() - 1; got < completed || got > completed+1 {
		t.Errorf("killed after %v: interval %d was completed, the last one read is %d (%s)", delay, completed, got, r.Damage)
	}
	i := 0
	for in, err := range r.Intervals() {
		if err != nil || in.Index != i || in.Counters[0].Value != int64(i)*7 || in.Series[0].Count() != 101 {
			t.Errorf("killed after %v: interval %d reads %+v, %v", delay, i, in, err)
			break
		}
		i++
	}
	return r.IntervalCount(), r.Damage != ""
}

// recordAndKill starts a recording process, kills it that long after it has written the plan, and returns the last
// interval that it says it completed, -1 for none.
func recordAndKill(t *testing.T, dir string, delay time.Duration) (completed int, ok bool) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return 0, false
	}
	lines := bufio.NewScanner(out)
	said := 0
	for lines.Scan() {
		if said++; said == 1 {
			defer time.AfterFunc(delay, func() { _ = cmd.Process.Kill() }).Stop()
		}
		if completed, err = strconv.Atoi(lines.Text()); err != nil {
			t.Error(err) // the pipe takes a line as a whole, so it is never torn
		}
	}
	err = cmd.Wait()
	if said == 0 || cmd.ProcessState.Exited() {
		t.Errorf("the recording process ended by itself: %v", err)
		return 0, false
	}
	return completed, true
}

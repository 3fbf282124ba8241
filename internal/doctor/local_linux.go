package doctor

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// waitEvery parts the instants that are waited for, while the machine is watched.
const waitEvery = time.Millisecond

func freeBytes(dir string) (uint64, bool) {
	dir, err := nearestDir(dir)
	if err != nil {
		return 0, false
	}
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil || s.Blocks == 0 { // some file systems don't count
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}

// clockState reads the kernel's clock discipline, and watches for a step.
func clockState() (ClockState, bool) {
	var x unix.Timex
	state, err := unix.Adjtimex(&x)
	if err != nil {
		return ClockState{}, false
	}
	const slew, slack = 500e-6, time.Millisecond // the kernel's largest, and what two readings may disagree by
	before := time.Now()
	time.Sleep(watch)
	after := time.Now()
	elapsed := after.Sub(before) // monotonic
	c := ClockState{
		Synchronised: state != unix.TIME_ERROR && x.Status&unix.STA_UNSYNC == 0,
		MaxError:     time.Duration(x.Maxerror) * time.Microsecond,
	}
	if step := after.Round(0).Sub(before.Round(0)) - elapsed; step.Abs() > slack+time.Duration(slew*float64(elapsed)) {
		c.Step = step
	}
	return c, true
}

// tryTiming waits on a thread of its own that is set up like a pacing thread, and ends with the goroutine.
func tryTiming(ctx context.Context) (Timing, bool) {
	result := make(chan Timing, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends, and its priority with it
		var t Timing
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Microsecond), 0, 0, 0)
		fifo := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Flags: unix.SCHED_FLAG_RESET_ON_FORK, Priority: 1}
		if unix.SchedSetAttr(0, &fifo, 0) == nil {
			t.Realtime = true
		} else {
			t.Nice = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -15) == nil
		}
		var late []time.Duration
		due := monotonic()
		for range int(watch / waitEvery) {
			if ctx.Err() != nil {
				break
			}
			due += waitEvery
			ts := unix.NsecToTimespec(int64(due))
			for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
			}
			late = append(late, monotonic()-due)
		}
		if t.Waits = len(late); t.Waits > 0 {
			slices.Sort(late)
			t.P50, t.P99 = late[len(late)/2], late[len(late)*99/100]
		}
		result <- t
	}()
	t := <-result
	return t, t.Waits > 0
}

func monotonic() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // can't fail for this clock
	return time.Duration(ts.Nano())
}

// tryStamps sends bytes over loopback TCP and reads them, until one has its receive timestamp: the kernel switches them on
// a little after they were asked for first.
func tryStamps(ctx context.Context) (known bool, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return true, err
	}
	defer listener.Close()
	sender, err := (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return true, err
	}
	defer sender.Close()
	conn, err := listener.Accept()
	if err != nil {
		return true, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetReadDeadline(deadline) // a socket that was just made takes one
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true, err
	}
	if err := askForStamps(raw); err != nil {
		return true, err
	}
	tick := time.NewTicker(waitEvery)
	defer tick.Stop()
	for range int(watch / waitEvery) {
		if _, err := sender.Write([]byte{1}); err != nil {
			return true, err
		}
		if stamped, err := readStamp(raw); stamped || err != nil {
			return true, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	return true, errors.New("none came with the bytes")
}

func askForStamps(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
	})
	return errors.Join(err, failed)
}

// readStamp reads a byte and says whether it came with a receive timestamp.
func readStamp(raw syscall.RawConn) (stamped bool, err error) {
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		data, space := make([]byte, 1), make([]byte, 128)
		_, n, _, _, err := unix.Recvmsg(int(fd), data, space, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		messages, parseErr := unix.ParseSocketControlMessage(space[:max(n, 0)])
		failed = errors.Join(err, parseErr)
		for _, m := range messages {
			stamped = stamped || m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING
		}
		return true
	})
	return stamped, errors.Join(err, failed)
}

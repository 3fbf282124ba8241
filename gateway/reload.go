package gateway

import (
	"errors"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// reloadInterval is the least time between two looks at whether files have changed.
const reloadInterval = time.Second

// maxSettingFile bounds a certificate, a key set or a secret, in bytes.
const maxSettingFile = 1 << 20

// reloaded is a value made of files that may change while the gateway runs. What has become unreadable leaves the value
// that was in force; it is logged and counted once for each change, not at every look.
type reloaded[T any] struct {
	what     string // for the log
	paths    []string
	load     func() (T, error)
	log      *slog.Logger
	failures *atomic.Int64

	mu       sync.Mutex
	value    T
	seen     []os.FileInfo // nil where a file could not be looked at
	lookedAt time.Time
}

// start reads the files for the first time.
func (r *reloaded[T]) start(now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Looked at before they are read: what changes in between is read once more.
	r.seen, r.lookedAt = look(r.paths), now
	var err error
	r.value, err = r.load()
	return err
}

// get returns the value as of now, give or take reloadInterval.
func (r *reloaded[T]) get(now time.Time) T {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.lookedAt) < reloadInterval {
		return r.value
	}
	r.lookedAt = now
	files := look(r.paths)
	if sameFiles(files, r.seen) {
		return r.value
	}
	r.seen = files
	value, err := r.load()
	if err != nil {
		r.failures.Add(1)
		r.log.Error("the changed "+r.what+" can't be used: the old one stays in force", "files", r.paths, "err", err)
		return r.value
	}
	r.value = value
	r.log.Info("changed "+r.what+" is in force", "files", r.paths)
	return r.value
}

func look(paths []string) []os.FileInfo {
	files := make([]os.FileInfo, len(paths))
	for i, path := range paths {
		files[i], _ = os.Stat(path) // reading it says what is wrong
	}
	return files
}

func sameFiles(a, b []os.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != b[i] {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// readSetting reads a small file.
func readSetting(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSettingFile {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("the file is larger than 1 MiB")}
	}
	return os.ReadFile(path)
}

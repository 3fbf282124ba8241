//go:build !linux

package testbed

import "errors"

var errNoProc = errors.New("what processes use is read on Linux alone")

// Usage is known on Linux alone: an error here.
func Usage([]int) (ResourceUse, error) { return ResourceUse{}, errNoProc }

// processes is what a target consists of, whose use is not known here.
type processes struct{ roots []int }

func follow(pids []int, _ string) (*processes, error) { return &processes{pids}, nil }

func (f *processes) use() (ResourceUse, error) { return ResourceUse{}, errNoProc }

func (f *processes) pids() []int { return f.roots }

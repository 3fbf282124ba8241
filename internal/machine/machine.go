// Package machine reads facts of the machine and of what this process may use of it, from the files in which Linux tells
// them: processor time, processor and kernel, control groups, memory, ports, and the limit of descriptors. It judges none of
// them, keeps nothing and imports nothing of weir. Another system has no such files, so that there every fact is unknown.
//
// Functions that read files take the file system from its root, Files or a test's.
package machine

import (
	"io/fs"
	"os"
	"strings"
)

// Files is this machine's file system from its root.
func Files() fs.FS { return os.DirFS("/") }

// Text returns what a file of the kernel's holds, without the white space around it. Its name is a path of package fs:
// proc/stat.
func Text(files fs.FS, name string) (string, error) {
	data, err := fs.ReadFile(files, name)
	return strings.TrimSpace(string(data)), err
}

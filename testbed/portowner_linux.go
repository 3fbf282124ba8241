package testbed

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const tcpListen = "0A" // the state's number in /proc/net/tcp

// portOwner says which process listens at the TCP port, as far as /proc lets this user see: " by process 12 (nginx)", or
// "".
func portOwner(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if inode := listenInode(table, n); inode != "" {
			return inodeOwner(inode)
		}
	}
	return ""
}

// listenInode finds the socket that listens at the port. A line's fields: sl local_address rem_address st … uid timeout
// inode (proc(5)); addresses and ports are hexadecimal.
func listenInode(table string, port int) string {
	f, err := os.Open(table)
	if err != nil {
		return ""
	}
	defer f.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && fields[3] == tcpListen && strings.HasSuffix(fields[1], suffix) {
			return fields[9]
		}
	}
	return ""
}

func inodeOwner(inode string) string {
	want := "socket:[" + inode + "]"
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the only error is a bad pattern
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && link == want {
			pid := strings.Split(fd, "/")[2]
			comm, _ := os.ReadFile("/proc/" + pid + "/comm") // it may have gone meanwhile
			return fmt.Sprintf(" by process %s (%s)", pid, strings.TrimSpace(string(comm)))
		}
	}
	return ""
}

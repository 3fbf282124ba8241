package testbed

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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
	for _, s := range listeningAt(n) {
		if pid := inodeOwner(s.inode); pid != 0 {
			return " by " + processName(pid)
		}
	}
	return ""
}

// listening is a socket that takes connections.
type listening struct {
	addr  netip.Addr
	inode string
}

// listeningAt finds the sockets that listen at the port. A line's fields: sl local_address rem_address st … uid timeout
// inode (proc(5)); addresses and ports are hexadecimal.
func listeningAt(port int) []listening {
	found, _ := listeningIn("/proc/net", port)
	return found
}

// listenedInside reports whether the port is listened at, on more than loopback, in the network that the process is in, and
// whether that can be seen.
func listenedInside(pid, port int) (listens, known bool) {
	if pid == 0 {
		return false, false
	}
	sockets, known := listeningIn(fmt.Sprintf("/proc/%d/net", pid), port)
	return slices.ContainsFunc(sockets, func(l listening) bool { return !l.addr.IsLoopback() }), known
}

// listeningIn reads the tables of a network; known where one of them can be read.
func listeningIn(dir string, port int) (found []listening, known bool) {
	suffix := fmt.Sprintf(":%04X", port)
	for _, table := range []string{dir + "/tcp", dir + "/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		known = true
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != tcpListen || !strings.HasSuffix(fields[1], suffix) {
				continue
			}
			if addr, ok := procAddr(strings.TrimSuffix(fields[1], suffix)); ok {
				found = append(found, listening{addr, fields[9]})
			}
		}
		_ = f.Close()
	}
	return found, known
}

// procAddr reads an address as /proc/net has it: each four bytes are a number of the machine's own order, which is little
// endian on all that weir is built for.
func procAddr(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(b)
	return addr.Unmap(), ok
}

// reaches reports whether a connection to the host may come to a socket with that address.
func (l listening) reaches(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return l.addr == ip || l.addr.IsUnspecified() && (ip.Is4() || l.addr.Is6())
	}
	return l.addr.IsUnspecified() || l.addr.IsLoopback()
}

// listened reports whether connections to the host and port come to processes of the tree, or to such as carry the run's
// name, or may do: whose sockets can't be seen is not known where the tree's can't be either. Where some come to another's it is a *strangerError.
func listened(host string, port, root int, run string) (bool, error) {
	var sockets []listening
	for _, s := range listeningAt(port) {
		if s.reaches(host) {
			sockets = append(sockets, s)
		}
	}
	if len(sockets) == 0 {
		return false, nil
	}
	return owned(sockets, port, root, run)
}

// owned reports whether all of the sockets, which listened at the port a moment ago, are of the tree or carry the run's
// name.
func owned(sockets []listening, port, root int, run string) (bool, error) {
	ours, hidden := map[string]bool{}, false
	for _, pid := range processTree(root) {
		hidden = !addSockets(ours, pid) || hidden
	}
	for _, s := range sockets {
		if ours[s.inode] {
			continue
		}
		owner := inodeOwner(s.inode)
		if owner != 0 && carries(owner, run) || owner == 0 && hidden {
			continue
		}
		// A process that ended meanwhile has no sockets any more, and was no stranger.
		if !slices.ContainsFunc(listeningAt(port), func(l listening) bool { return l.inode == s.inode }) {
			return false, nil
		}
		return false, &strangerError{port, owner}
	}
	return true, nil
}

// addSockets adds the inodes of the sockets that the process has open, and reports whether they can be seen: those of
// another user's process can't, such as a container's.
func addSockets(to map[string]bool, pid int) (seen bool) {
	dir, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid))
	if errors.Is(err, fs.ErrPermission) {
		return false
	}
	if err == nil {
		_ = dir.Close() // it was only looked at
	}
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the only error is a bad pattern
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && strings.HasPrefix(link, "socket:[") {
			to[strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")] = true
		}
	}
	return true
}

// inodeOwner is the process that has the socket open; 0 where none is seen, as another user's.
func inodeOwner(inode string) int {
	want := "socket:[" + inode + "]"
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the only error is a bad pattern
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && link == want {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2]) // digits, by the pattern
			return pid
		}
	}
	return 0
}

// processName is "process 12 (nginx)".
func processName(pid int) string {
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)) // it may have gone meanwhile
	return fmt.Sprintf("process %d (%s)", pid, strings.TrimSpace(string(comm)))
}

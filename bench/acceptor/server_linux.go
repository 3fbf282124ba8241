package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const (
	threads = 2       // who dial have more of the machine to themselves than a server that takes every processor would leave
	backlog = 4096    // the kernel takes net.core.somaxconn where that is less
	events  = 256     // that are taken from the kernel at once
	buffer  = 4 << 10 // bytes of one read
)

// server is a listening socket and the threads that share it.
type server struct {
	url       string
	listening int
	wake      int // an eventfd, readable once the threads are to end
	threads   []*thread
}

// thread waits for the listening socket and for the connections that it has taken.
type thread struct {
	server *server
	epoll  int
	// connections holds, by descriptor, the request of those that are not answered; nil for the others.
	connections map[int32]*request
	space       [buffer]byte
}

// listen makes what serve needs; close, which serve calls, undoes it.
func listen() (_ *server, err error) {
	s := &server{listening: -1, wake: -1}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.listening, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("make the listening socket: %w", err)
	}
	if err := unix.Bind(s.listening, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("bind a port of 127.0.0.1: %w", err)
	}
	if err := unix.Listen(s.listening, backlog); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	at, err := unix.Getsockname(s.listening)
	if err != nil {
		return nil, fmt.Errorf("find the port: %w", err)
	}
	s.url = fmt.Sprintf("ws://127.0.0.1:%d/", at.(*unix.SockaddrInet4).Port)
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make what ends the threads: %w", err)
	}
	for range threads {
		t, err := s.newThread()
		if err != nil {
			return nil, err
		}
		s.threads = append(s.threads, t)
	}
	return s, nil
}

func (s *server) newThread() (*thread, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance: %w", err)
	}
	t := &thread{server: s, epoll: epoll, connections: map[int32]*request{}}
	err = t.watch(s.wake, unix.EPOLLIN)
	if err == nil {
		err = t.watch(s.listening, unix.EPOLLIN|unix.EPOLLEXCLUSIVE) // a connection wakes one thread
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, err
	}
	return t, nil
}

// close closes what listen made.
func (s *server) close() {
	for _, t := range s.threads {
		_ = unix.Close(t.epoll)
	}
	for _, fd := range []int{s.listening, s.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
}

// serve serves until ctx ends or a thread can't go on, and closes everything.
func (s *server) serve(ctx context.Context) error {
	defer s.close()
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range s.threads {
		group.Go(t.run)
	}
	group.Go(func() error {
		<-ctx.Done()
		_, err := unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		return os.NewSyscallError("write", err)
	})
	return group.Wait()
}

func (t *thread) run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() {
		for fd := range t.connections {
			_ = unix.Close(int(fd))
		}
	}()
	ready := make([]unix.EpollEvent, events)
	for {
		n, err := unix.EpollWait(t.epoll, ready, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for the connections: %w", err)
		}
		for i := range max(n, 0) {
			switch fd := ready[i].Fd; int(fd) {
			case t.server.wake:
				return nil
			case t.server.listening:
				if err := t.accept(); err != nil {
					return err
				}
			default:
				t.read(fd)
			}
		}
	}
}

// accept takes the connections that there are.
func (t *thread) accept() error {
	for {
		fd, _, err := unix.Accept4(t.server.listening, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case errors.Is(err, unix.EMFILE):
			return fmt.Errorf("take a connection beside %d of this thread: %w (raise ulimit -n)", len(t.connections), err)
		case err != nil:
			return fmt.Errorf("take a connection: %w", err)
		}
		t.connections[int32(fd)] = &request{}
		if err := t.watch(fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
}

func (t *thread) watch(fd int, what uint32) error {
	if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: what, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("wait for descriptor %d: %w", fd, err)
	}
	return nil
}

// read reads a connection once, and answers it when its request has come whole.
func (t *thread) read(fd int32) {
	n, err := unix.Read(int(fd), t.space[:])
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return
	case err != nil || n == 0:
		t.end(fd)
		return
	}
	r := t.connections[fd]
	if r == nil {
		return
	}
	answer, upgraded := r.take(t.space[:n])
	if answer == nil {
		return
	}
	if sent, err := unix.Write(int(fd), answer); err != nil || sent < len(answer) {
		t.end(fd) // a fresh socket has room: its client has gone
		return
	}
	t.connections[fd] = nil
	if !upgraded {
		// Not closed before the client has read the refusal: a reset would overtake it.
		_ = unix.Shutdown(int(fd), unix.SHUT_WR)
	}
}

// end closes a connection. It is forgotten before: the other thread may get the same descriptor.
func (t *thread) end(fd int32) {
	delete(t.connections, fd)
	_ = unix.Close(int(fd))
}

package websocket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller reads many connections in one goroutine. The goroutine exits after the last connection has been released.
//
// The goroutine does not block in epoll_wait. It parks on Go's netpoller until the epoll instance is readable, as a
// goroutine that reads a socket does. The reason is the runtime's monitor thread, sysmon, which watches every thread that
// is inside a system call. If there always is such a thread, sysmon wakes up every 20 µs. That cost 20 % of the CPU time.
// For the same reason, system calls that cannot block are made without telling the runtime; see syscall_linux.go.
type poller struct {
	epoll    int      // the descriptor of file
	file     *os.File // the epoll instance, registered with Go's netpoller
	fileConn syscall.RawConn
	done     chan struct{} // closed when the goroutine has left its loop

	// onExit is set by the goroutine itself when it has released the last connection. It then leaves its loop, closes file
	// and calls onExit.
	onExit func()

	mu    sync.Mutex
	conns map[int32]*rawConn // by file descriptor; those with wantRead or wantWrite set
}

// sharedPoller holds the only poller of the process. The poller exists while it has users.
var sharedPoller struct {
	mu      sync.Mutex
	current *poller // nil without users
	users   int     // connections and upgrade listeners that have not been released
}

// acquirePoller returns the shared poller to a new user, and starts it for the first one.
func acquirePoller() (*poller, error) {
	sharedPoller.mu.Lock()
	defer sharedPoller.mu.Unlock()
	if sharedPoller.current == nil {
		p, err := newPoller()
		if err != nil {
			return nil, err
		}
		sharedPoller.current = p
		go p.run()
	}
	sharedPoller.users++
	return sharedPoller.current, nil
}

// retainPoller adds a user to the shared poller. The caller acts for another user, which is not released during the call, so
// the poller exists.
func retainPoller() {
	sharedPoller.mu.Lock()
	sharedPoller.users++
	sharedPoller.mu.Unlock()
}

// release removes a user. If it was the last user, release stops the poller's goroutine and waits for it. That goroutine
// itself must call releaseFromOwnGoroutine instead.
func (p *poller) release() {
	if removeUser() {
		_ = p.file.Close()
		<-p.done
	}
}

// releaseFromOwnGoroutine removes a user and calls exited: at once, or, if it was the last user, as the last thing that the
// goroutine does.
func (p *poller) releaseFromOwnGoroutine(exited func()) {
	if removeUser() {
		p.onExit = exited
		return
	}
	exited()
}

// removeUser removes a user from the shared poller, and reports whether it was the last user.
func removeUser() (last bool) {
	sharedPoller.mu.Lock()
	defer sharedPoller.mu.Unlock()
	sharedPoller.users--
	if sharedPoller.users > 0 {
		return false
	}
	sharedPoller.current = nil
	return true
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err = unix.SetNonblock(epoll, true); err != nil { // os.NewFile registers only nonblocking files with the netpoller
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{
		epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"),
		done: make(chan struct{}), conns: make(map[int32]*rawConn),
	}
	if p.fileConn, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails if the netpoller does not accept the file
	}
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("register epoll with the netpoller: %w", err)
	}
	return p, nil
}

// setWanted sets flag, which is c.wantRead or c.wantWrite, and registers c with the epoll instance accordingly. If the
// connection is readable or writable already, setting the flag causes an event. The error is [net.ErrClosed] after
// deregister.
func (p *poller) setWanted(c *rawConn, flag *bool, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.deregistered {
		return net.ErrClosed
	}
	before, was := c.events(), *flag
	*flag = on
	err := p.updateEpoll(c, before)
	if err != nil {
		*flag = was
	}
	return err
}

// deregister removes c from the epoll instance permanently. Afterwards the descriptor of c may be closed.
func (p *poller) deregister(c *rawConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := c.events()
	c.wantRead, c.wantWrite, c.deregistered = false, false, true
	_ = p.updateEpoll(c, before) // removal does not fail
}

// updateEpoll registers c for the events that it wants now, in place of the set before. The caller holds mu.
func (p *poller) updateEpoll(c *rawConn, before uint32) error {
	now, op := c.events(), unix.EPOLL_CTL_MOD
	switch {
	case now == before:
		return nil
	case before == 0:
		op = unix.EPOLL_CTL_ADD
	case now == 0:
		op = unix.EPOLL_CTL_DEL
	}
	if err := unix.EpollCtl(p.epoll, op, c.fd, &unix.EpollEvent{Events: now, Fd: int32(c.fd)}); err != nil {
		return fmt.Errorf("register connection: %w", os.NewSyscallError("epoll_ctl", err))
	}
	if p.conns[int32(c.fd)] = c; now == 0 {
		delete(p.conns, int32(c.fd))
	}
	return nil
}

// events returns the set of epoll events that c wants. They are edge-triggered: bytes that are left in the socket cause no
// second event. The caller holds the poller's mu.
func (c *rawConn) events() (e uint32) {
	if c.wantRead {
		e |= unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	}
	if c.wantWrite {
		e |= unix.EPOLLOUT | unix.EPOLLET
	}
	return e
}

// maxEvents limits how many events one system call returns.
const maxEvents = 128

// run is the body of the poller's goroutine.
func (p *poller) run() {
	defer func() {
		close(p.done)
		if p.onExit != nil {
			_ = p.file.Close()
			p.onExit()
		}
	}()
	events := make([]unix.EpollEvent, maxEvents)
	b := newBuffer()
	defer func() { b.release() }()
	_ = p.fileConn.Read(func(uintptr) (done bool) { // returns when done is true, or when release closes the file
		for n := maxEvents; n == maxEvents && p.onExit == nil; {
			n = p.pollEvents(events)
			for _, e := range events[:n] {
				if tookBuffer := p.dispatch(e, b); tookBuffer {
					b = newBuffer()
				}
			}
		}
		return p.onExit != nil
	})
}

// pollEvents fills events with the events that are pending, and returns their number. It does not block.
func (p *poller) pollEvents(events []unix.EpollEvent) int {
	for {
		n, err := epollNow(p.epoll, events)
		if err == nil {
			return n
		}
		if !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // the other errors mean invalid arguments
		}
	}
}

// dispatch handles one event. It reports whether it kept b, which then must not be used again.
func (p *poller) dispatch(e unix.EpollEvent, b *buffer) (tookBuffer bool) {
	p.mu.Lock()
	// An earlier event of this round may have closed the connection, and a new one may have its descriptor. The new one then
	// gets an event without cause, which is harmless because it reads and writes without blocking.
	c := p.conns[e.Fd]
	in, out := c != nil && c.wantRead, c != nil && c.wantWrite
	p.mu.Unlock()
	if out && e.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		_ = p.setWanted(c, &c.wantWrite, false) // flush sets it again if it has to
		c.mu.Lock()
		c.wakeFlush()
		c.mu.Unlock()
	}
	if in && e.Events&^unix.EPOLLOUT != 0 {
		return c.handler.onReadable(b, e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
	return false
}

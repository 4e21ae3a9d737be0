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

// poller reads for many connections in one goroutine, which lives for as long as there are any.
//
// It waits for its epoll instance as Go waits for a socket, not in epoll_wait: the runtime's monitor watches whoever
// is inside a system call, and while there is always somebody it wakes up every 20 us, which cost a fifth of all.
// For the same reason nothing here that can't wait tells the runtime that it might.
type poller struct {
	epoll    int
	file     *os.File // has epoll
	fileConn syscall.RawConn
	done     chan struct{}

	onExit func() // to be called when the goroutine ends, which it then does of its own accord

	mu    sync.Mutex
	conns map[int32]*rawConn // those that want anything
}

// sharedPoller has the poller of this process, if there is one.
var sharedPoller struct {
	mu      sync.Mutex
	current *poller
	users   int
}

// acquirePoller returns the poller, for one more connection.
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

// retainPoller is acquirePoller for who knows the poller, which won't end meanwhile.
func retainPoller() {
	sharedPoller.mu.Lock()
	sharedPoller.users++
	sharedPoller.mu.Unlock()
}

// release is for a connection that is gone. The last one's waits for the poller's end.
func (p *poller) release() {
	if unregister() {
		_ = p.file.Close()
		<-p.done
	}
}

// releaseFromLoop is release for the goroutine itself. It calls exited, when the goroutine ends if this was the last connection.
func (p *poller) releaseFromLoop(exited func()) {
	if unregister() {
		p.onExit = exited
		return
	}
	exited()
}

// unregister takes a connection off the shared poller, and reports whether it was the last.
func unregister() (last bool) {
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
	if err = unix.SetNonblock(epoll, true); err != nil { // which tells package os that it can be waited for
		_ = unix.Close(epoll)
		return nil, os.NewSyscallError("fcntl", err)
	}
	p := &poller{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), done: make(chan struct{}), conns: make(map[int32]*rawConn)}
	if p.fileConn, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails where it can't be waited for
	}
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("wait for connections: %w", err)
	}
	return p, nil
}

// setWanted changes whether a raw connection waits for something: its wantRead or its wantWrite.
func (p *poller) setWanted(w *rawConn, what *bool, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.deregistered {
		return net.ErrClosed
	}
	before, was := w.events(), *what
	*what = on
	err := p.updateEpoll(w, before)
	if err != nil {
		*what = was
	}
	return err
}

// deregister makes a raw connection wait for nothing any more.
func (p *poller) deregister(w *rawConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := w.events()
	w.wantRead, w.wantWrite, w.deregistered = false, false, true
	_ = p.updateEpoll(w, before) // taking away doesn't fail
}

// updateEpoll tells the kernel what a raw connection waits for. The caller holds mu.
func (p *poller) updateEpoll(w *rawConn, before uint32) error {
	now, op := w.events(), unix.EPOLL_CTL_MOD
	switch {
	case now == before:
		return nil
	case before == 0:
		op = unix.EPOLL_CTL_ADD
	case now == 0:
		op = unix.EPOLL_CTL_DEL
	}
	if err := unix.EpollCtl(p.epoll, op, w.fd, &unix.EpollEvent{Events: now, Fd: int32(w.fd)}); err != nil {
		return fmt.Errorf("wait for a connection: %w", os.NewSyscallError("epoll_ctl", err))
	}
	if p.conns[int32(w.fd)] = w; now == 0 {
		delete(p.conns, int32(w.fd))
	}
	return nil
}

// events are what a raw connection waits for, each time it comes anew. The caller holds the poller's lock.
func (c *rawConn) events() (e uint32) {
	if c.wantRead {
		e |= unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	}
	if c.wantWrite {
		e |= unix.EPOLLOUT | unix.EPOLLET
	}
	return e
}

// maxEvents is how many connections are looked at before the kernel is asked for more.
const maxEvents = 128

// run is the goroutine.
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
	_ = p.fileConn.Read(func(uintptr) (done bool) { // until release closes the file
		for n := maxEvents; n == maxEvents && p.onExit == nil; {
			n = p.pollEvents(events)
			for _, e := range events[:n] {
				if taken := p.dispatch(e, b); taken {
					b = newBuffer()
				}
			}
		}
		return p.onExit != nil
	})
}

// pollEvents returns how many events there are. What it returns is not returned again before there is more of it.
func (p *poller) pollEvents(events []unix.EpollEvent) int {
	for {
		n, err := epollNow(p.epoll, events)
		if err == nil {
			return n
		}
		if !errors.Is(err, unix.EINTR) {
			panic(fmt.Sprintf("epoll_wait: %v", err)) // only a wrong argument can fail
		}
	}
}

// dispatch deals with one event. It reports whether the buffer is somebody else's now.
func (p *poller) dispatch(e unix.EpollEvent, b *buffer) (taken bool) {
	p.mu.Lock()
	w := p.conns[e.Fd] // perhaps another one than the event's, which then finds that there is nothing to do
	in, out := w != nil && w.wantRead, w != nil && w.wantWrite
	p.mu.Unlock()
	if out && e.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		_ = p.setWanted(w, &w.wantWrite, false) // who waits asks again
		w.mu.Lock()
		w.wakeFlush()
		w.mu.Unlock()
	}
	if in && e.Events&^unix.EPOLLOUT != 0 {
		return w.handler.onReadable(b, e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
	return false
}

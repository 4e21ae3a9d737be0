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
	epoll int
	file  *os.File // has epoll
	wait  syscall.RawConn
	done  chan struct{}

	last func() // to be called when the goroutine ends, which it then does of its own accord

	mu    sync.Mutex
	wires map[int32]*wire // those that want anything
}

// roster has the poller of this process, if there is one.
var roster struct {
	mu      sync.Mutex
	current *poller
	users   int
}

// enlist returns the poller, for one more connection.
func enlist() (*poller, error) {
	roster.mu.Lock()
	defer roster.mu.Unlock()
	if roster.current == nil {
		p, err := newPoller()
		if err != nil {
			return nil, err
		}
		roster.current = p
		go p.run()
	}
	roster.users++
	return roster.current, nil
}

// enroll is enlist for who knows the poller, which won't end meanwhile.
func enroll() {
	roster.mu.Lock()
	roster.users++
	roster.mu.Unlock()
}

// dismiss is for a connection that is gone. The last one's waits for the poller's end.
func (p *poller) dismiss() {
	if strike() {
		_ = p.file.Close()
		<-p.done
	}
}

// dismissHere is dismiss for the goroutine itself. It calls left, when the goroutine ends if this was the last connection.
func (p *poller) dismissHere(left func()) {
	if strike() {
		p.last = left
		return
	}
	left()
}

// strike takes a connection off the roster, and reports whether it was the last.
func strike() (last bool) {
	roster.mu.Lock()
	defer roster.mu.Unlock()
	roster.users--
	if roster.users > 0 {
		return false
	}
	roster.current = nil
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
	p := &poller{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), done: make(chan struct{}), wires: make(map[int32]*wire)}
	if p.wait, err = p.file.SyscallConn(); err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails where it can't be waited for
	}
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("wait for connections: %w", err)
	}
	return p, nil
}

// want changes whether a wire waits for something: its in or its out.
func (p *poller) want(w *wire, what *bool, on bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.retired {
		return net.ErrClosed
	}
	before, was := w.events(), *what
	*what = on
	err := p.apply(w, before)
	if err != nil {
		*what = was
	}
	return err
}

// retire makes a wire wait for nothing any more.
func (p *poller) retire(w *wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := w.events()
	w.in, w.out, w.retired = false, false, true
	_ = p.apply(w, before) // taking away doesn't fail
}

// apply tells the kernel what a wire waits for. The caller holds mu.
func (p *poller) apply(w *wire, before uint32) error {
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
	if p.wires[int32(w.fd)] = w; now == 0 {
		delete(p.wires, int32(w.fd))
	}
	return nil
}

// events are what a wire waits for, each time it comes anew. The caller holds the poller's lock.
func (w *wire) events() (e uint32) {
	if w.in {
		e |= unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	}
	if w.out {
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
		if p.last != nil {
			_ = p.file.Close()
			p.last()
		}
	}()
	events := make([]unix.EpollEvent, maxEvents)
	b := newBuffer()
	defer func() { b.free() }()
	_ = p.wait.Read(func(uintptr) (done bool) { // until dismiss closes the file
		for n := maxEvents; n == maxEvents && p.last == nil; {
			n = p.ready(events)
			for _, e := range events[:n] {
				if taken := p.serve(e, b); taken {
					b = newBuffer()
				}
			}
		}
		return p.last != nil
	})
}

// ready returns how many events there are. What it returns is not returned again before there is more of it.
func (p *poller) ready(events []unix.EpollEvent) int {
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

// serve deals with one event. It reports whether the buffer is somebody else's now.
func (p *poller) serve(e unix.EpollEvent, b *buffer) (taken bool) {
	p.mu.Lock()
	w := p.wires[e.Fd] // perhaps another one than the event's, which then finds that there is nothing to do
	in, out := w != nil && w.in, w != nil && w.out
	p.mu.Unlock()
	if out && e.Events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		_ = p.want(w, &w.out, false) // who waits asks again
		w.mu.Lock()
		w.wake()
		w.mu.Unlock()
	}
	if in && e.Events&^unix.EPOLLOUT != 0 {
		return w.reader.readable(b, e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0)
	}
	return false
}

package batch

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// fewSockets is up to how many sockets are cheaper asked one by one with poll(2) than
// registered with epoll, whose notification the sender pays for.
const maxPollSockets = 32

// Poller tells which of its sockets have something to read. Sockets have numbers, which
// their user chooses.
type Poller struct {
	fds     []unix.PollFd
	numbers []int32
	epoll   int // -1 as long as they are few
	events  []unix.EpollEvent
	ready   []int
}

// NewPoller returns a Poller without sockets.
func NewPoller() *Poller { return &Poller{epoll: -1} }

// Add adds a file descriptor under number.
func (p *Poller) AddSocket(fd, number int) error {
	if p.epoll < 0 && len(p.fds) < maxPollSockets {
		p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		p.numbers = append(p.numbers, int32(number))
		return nil
	}
	if p.epoll < 0 {
		if err := p.startEpoll(); err != nil {
			return err
		}
	}
	return p.addToEpoll(int32(fd), int32(number))
}

// startEpoll moves what there is to epoll.
func (p *Poller) startEpoll() error {
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		p.epoll = -1
		return os.NewSyscallError("epoll_create1", err)
	}
	p.events = make([]unix.EpollEvent, 256)
	for i, f := range p.fds {
		if err := p.addToEpoll(f.Fd, p.numbers[i]); err != nil {
			return err
		}
	}
	p.fds, p.numbers = nil, nil
	return nil
}

func (p *Poller) addToEpoll(fd, number int32) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: number}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, int(fd), &event))
}

// Remove forgets a file descriptor, before it is closed.
func (p *Poller) RemoveSocket(fd int) error {
	if p.epoll >= 0 {
		return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, fd, nil))
	}
	for i, f := range p.fds {
		if int(f.Fd) == fd {
			last := len(p.fds) - 1
			p.fds[i], p.numbers[i] = p.fds[last], p.numbers[last]
			p.fds, p.numbers = p.fds[:last], p.numbers[:last]
			break
		}
	}
	return nil
}

// Wait waits until a socket has something to read, at most for d, rounded up to
// a millisecond; 0 does not wait. It returns the numbers of sockets that have,
// valid until the next call; of very many those that wait longest.
func (p *Poller) Wait(d time.Duration) ([]int, error) {
	p.ready = p.ready[:0]
	timeout := int((d + time.Millisecond - 1) / time.Millisecond)
	if p.epoll >= 0 {
		return p.waitEpoll(timeout)
	}
	n, err := unix.Poll(p.fds, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, os.NewSyscallError("poll", err)
	}
	for i := 0; n > 0 && i < len(p.fds); i++ {
		if p.fds[i].Revents != 0 {
			p.ready = append(p.ready, int(p.numbers[i]))
		}
	}
	return p.ready, nil
}

func (p *Poller) waitEpoll(timeout int) ([]int, error) {
	n, err := unix.EpollWait(p.epoll, p.events, timeout)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return nil, os.NewSyscallError("epoll_wait", err)
	}
	for i := range max(n, 0) {
		p.ready = append(p.ready, int(p.events[i].Fd))
	}
	return p.ready, nil
}

// Close releases the Poller, not its sockets.
func (p *Poller) Close() error {
	if p.epoll < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(p.epoll))
}

package batch

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxPollSockets is the number of sockets up to which one poll(2) call is cheaper than epoll. With epoll, the
// notification costs every sender to a registered socket CPU time.
const maxPollSockets = 32

// Poller reports which of its sockets are readable. The caller identifies sockets by numbers of its
// choice.
type Poller struct {
	fds     []unix.PollFd
	numbers []int32
	epoll   int // -1 while poll(2) is used
	events  []unix.EpollEvent
	ready   []int
}

// NewPoller returns a Poller that has no sockets yet.
func NewPoller() *Poller { return &Poller{epoll: -1} }

// AddSocket adds file descriptor fd, which Wait reports as number.
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

// startEpoll moves all sockets from poll(2) to epoll.
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

// RemoveSocket removes fd. It must be called before fd is closed.
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

// Wait blocks until a socket is readable or d, rounded up to a millisecond, has passed; it does not
// block if d is 0. It returns the numbers of the readable sockets, in a slice that is valid until
// the next call. With epoll it returns at most 256 of them, those that became readable first.
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

// Close releases the Poller's resources. It does not close the sockets.
func (p *Poller) Close() error {
	if p.epoll < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(p.epoll))
}

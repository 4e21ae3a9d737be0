package engine

import (
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/pion/logging"
)

var localAddr = &net.UDPAddr{IP: net.IPv6loopback, Port: 3478}

// memoryAddr has the methods of a net.PacketConn that have no meaning in memory.
type memoryAddr struct{}

func (memoryAddr) LocalAddr() net.Addr              { return localAddr }
func (memoryAddr) SetDeadline(time.Time) error      { return nil }
func (memoryAddr) SetReadDeadline(time.Time) error  { return nil }
func (memoryAddr) SetWriteDeadline(time.Time) error { return nil }

// relayStub is what Pion takes for the relay socket.
type relayStub struct {
	memoryAddr
	once   sync.Once
	closed func()
}

// ReadFrom is called by nobody but the goroutine that Pion starts for each allocation,
// with a buffer of its own, to relay what peers send. There is never anything to read,
// so that goroutine ends here; an error would make it end the allocation too.
func (r *relayStub) ReadFrom([]byte) (int, net.Addr, error) {
	runtime.Goexit()
	return 0, nil, net.ErrClosed
}

func (r *relayStub) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }

// Close is Pion's word that the allocation has ended.
func (r *relayStub) Close() error {
	r.once.Do(r.closed)
	return nil
}

// Silent returns a factory of loggers that drop everything, for Pion's packages:
// they write a line for what strangers send every day.
func Silent() logging.LoggerFactory { return silence{} }

type silence struct{}

func (silence) NewLogger(string) logging.LeveledLogger { return silence{} }

func (silence) Trace(string)          {}
func (silence) Tracef(string, ...any) {}
func (silence) Debug(string)          {}
func (silence) Debugf(string, ...any) {}
func (silence) Info(string)           {}
func (silence) Infof(string, ...any)  {}
func (silence) Warn(string)           {}
func (silence) Warnf(string, ...any)  {}
func (silence) Error(string)          {}
func (silence) Errorf(string, ...any) {}

package engine

import (
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/pion/logging"
)

// memoryAddr has the methods of a net.PacketConn that have no meaning in memory.
type memoryAddr struct{}

func (memoryAddr) LocalAddr() net.Addr              { return &net.UDPAddr{IP: net.IPv6loopback, Port: 3478} }
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

// Silence drops the logs of Pion's packages: they write a line for what strangers send every day.
type Silence struct{}

// NewLogger implements logging.LoggerFactory.
func (Silence) NewLogger(string) logging.LeveledLogger { return Silence{} }

// Trace and the rest implement logging.LeveledLogger.
func (Silence) Trace(string)          {}
func (Silence) Tracef(string, ...any) {}
func (Silence) Debug(string)          {}
func (Silence) Debugf(string, ...any) {}
func (Silence) Info(string)           {}
func (Silence) Infof(string, ...any)  {}
func (Silence) Warn(string)           {}
func (Silence) Warnf(string, ...any)  {}
func (Silence) Error(string)          {}
func (Silence) Errorf(string, ...any) {}

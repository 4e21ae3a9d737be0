package engine

import (
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/pion/logging"
)

var localAddr = &net.UDPAddr{IP: net.IPv6loopback, Port: 3478}

// memoryAddr implements the methods of net.PacketConn that do nothing for a connection in memory.
type memoryAddr struct{}

func (memoryAddr) LocalAddr() net.Addr              { return localAddr }
func (memoryAddr) SetDeadline(time.Time) error      { return nil }
func (memoryAddr) SetReadDeadline(time.Time) error  { return nil }
func (memoryAddr) SetWriteDeadline(time.Time) error { return nil }

// relayStub is the net.PacketConn that Pion uses as the relay socket.
type relayStub struct {
	memoryAddr
	once   sync.Once
	closed func()
}

// ReadFrom implements net.PacketConn. Only the goroutine that Pion starts for each allocation calls it, to relay packets from
// peers. There is never a packet to read, so ReadFrom ends that goroutine. If it returned an error instead, Pion would end
// the allocation too.
func (r *relayStub) ReadFrom([]byte) (int, net.Addr, error) {
	runtime.Goexit()
	return 0, nil, net.ErrClosed
}

func (r *relayStub) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }

// Close implements net.PacketConn. Pion calls it when the allocation has ended.
func (r *relayStub) Close() error {
	r.once.Do(r.closed)
	return nil
}

// Silent returns a factory of loggers that drop everything. Pion's packages would otherwise log a line for each malformed
// message from the Internet.
func Silent() logging.LoggerFactory { return silentLogger{} }

type silentLogger struct{}

func (silentLogger) NewLogger(string) logging.LeveledLogger { return silentLogger{} }

func (silentLogger) Trace(string)          {}
func (silentLogger) Tracef(string, ...any) {}
func (silentLogger) Debug(string)          {}
func (silentLogger) Debugf(string, ...any) {}
func (silentLogger) Info(string)           {}
func (silentLogger) Infof(string, ...any)  {}
func (silentLogger) Warn(string)           {}
func (silentLogger) Warnf(string, ...any)  {}
func (silentLogger) Error(string)          {}
func (silentLogger) Errorf(string, ...any) {}

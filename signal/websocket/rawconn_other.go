//go:build !linux

package websocket

import (
	"errors"
	"net"
	"time"
)

// rawConn is implemented on Linux only. On other systems newRawConn always fails, so a goroutine reads each connection.
type rawConn struct {
	net.Conn
	handler any
}

var errWouldBlock = errors.New("no data available")

func newRawConn(*net.TCPConn) (*rawConn, error) { return nil, errors.ErrUnsupported }

func (*rawConn) pollRead(bool) error      { return errors.ErrUnsupported }
func (*rawConn) allSent() bool            { return false }
func (*rawConn) flush(time.Time) error    { return errors.ErrUnsupported }
func (*rawConn) release()                 {}
func (*rawConn) releaseFromPoller(func()) {}

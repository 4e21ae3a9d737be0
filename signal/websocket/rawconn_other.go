//go:build !linux

package websocket

import (
	"errors"
	"net"
	"time"
)

// rawConn exists on Linux only. On other systems every connection has a goroutine that reads it.
type rawConn struct {
	net.Conn
	handler any
}

var errWouldBlock = errors.New("nothing has come")

func newRawConn(*net.TCPConn) (*rawConn, error) { return nil, errors.ErrUnsupported }

func (*rawConn) pollRead(bool) error      { return errors.ErrUnsupported }
func (*rawConn) idle() bool               { return false }
func (*rawConn) flush(time.Time) error    { return errors.ErrUnsupported }
func (*rawConn) release()                 {}
func (*rawConn) releaseFromPoller(func()) {}

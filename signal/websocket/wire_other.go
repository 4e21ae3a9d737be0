//go:build !linux

package websocket

import (
	"errors"
	"net"
	"time"
)

// wire exists on Linux only; elsewhere every connection has a goroutine that reads it.
type wire struct {
	net.Conn
	reader any
}

var errAgain = errors.New("nothing has come")

func take(*net.TCPConn) (*wire, error) { return nil, errors.ErrUnsupported }

func (*wire) await(bool) error      { return errors.ErrUnsupported }
func (*wire) idle() bool            { return false }
func (*wire) flush(time.Time) error { return errors.ErrUnsupported }
func (*wire) free()                 {}
func (*wire) freeHere(func())       {}

package sockets

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"icebox/cmd/iceload/batch"
	"icebox/turnserver/wire"
)

const (
	// maxPending is how much may wait for one stream before its client's messages are dropped.
	maxPending = 256 << 10
	maxFrame   = 1 << 16
	// bufferSize is what a frame that is not whole yet and the next read fit in.
	bufferSize = 4 * maxFrame
)

// streams are TCP or TLS clients.
type streamClients struct {
	o             ClientsOptions
	poller        *batch.Poller
	streams       []*stream
	dirty         []*stream // with messages to flush
	buf           []byte
	failedFlushes uint64 // flushes that failed
	err           error
}

// stream is one client's.
type stream struct {
	conn        *nonblockingConn
	tls         *tls.Conn // nil: plain TCP
	queue       []byte    // messages since the last flush
	sizes       []int     // and their lengths
	partial     []byte    // of what arrived: a frame that is not whole
	nextAddress int       // what number the next stream of this client has
}

func openStreamClients(o ClientsOptions) (Clients, error) {
	l := &streamClients{o: o, poller: batch.NewPoller(), streams: make([]*stream, o.Clients), buf: make([]byte, bufferSize)}
	for i := range l.streams {
		l.streams[i] = &stream{nextAddress: o.First + i}
		if err := l.connect(i); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// connect opens the stream of a client.
func (l *streamClients) connect(client int) error {
	s := l.streams[client]
	source := netip.Addr{}
	if isLoopback4(l.o.Server.Addr()) {
		source = clientAddrs.addr(s.nextAddress % clientAddrs.size())
		s.nextAddress += l.o.Clients
	}
	c, err := dial(l.o.Server, source)
	if err != nil {
		return err
	}
	s.conn = c
	if l.o.Transport == TLS {
		if err := s.handshake(l.o.TLS); err != nil {
			return fmt.Errorf("TLS handshake with %v: %w", l.o.Server, err)
		}
	}
	return l.poller.AddSocket(c.fd, client)
}

func (s *stream) handshake(config *tls.Config) error {
	s.conn.blocking = true
	s.tls = tls.Client(s.conn, config)
	err := s.tls.HandshakeContext(context.Background()) // the patience of conn is its time limit
	s.conn.blocking = false
	return err
}

// Message implements Link. The message is padded to four bytes, as it has to be in a stream.
func (l *streamClients) QueueMessage(client, size int) []byte {
	s := l.streams[client]
	if len(s.conn.pending)+len(s.queue)+size > maxPending {
		return nil
	}
	if len(s.sizes) == 0 {
		l.dirty = append(l.dirty, s)
	}
	at, padded := len(s.queue), wire.Pad4(size)
	s.sizes = append(s.sizes, padded)
	s.queue = append(s.queue, make([]byte, padded)...)
	return s.queue[at : at+size : at+size]
}

func (l *streamClients) Flush() {
	for _, s := range l.dirty {
		if err := s.flush(); err != nil {
			l.failedFlushes++
			if l.err == nil {
				l.err = err
			}
		}
	}
	l.dirty = l.dirty[:0]
}

// flush sends the messages that wait, over TLS in a record each.
func (s *stream) flush() error {
	var errs error
	queue := s.queue
	for _, size := range s.sizes {
		message := queue[:size]
		queue = queue[size:]
		if s.tls == nil {
			s.conn.pending = append(s.conn.pending, message...)
		} else if _, err := s.tls.Write(message); err != nil && errs == nil {
			errs = err
		}
	}
	s.queue, s.sizes = s.queue[:0], s.sizes[:0]
	return errors.Join(errs, s.conn.flush())
}

func (l *streamClients) Receive(f MessageHandler) error {
	for i := range l.streams {
		if s := l.streams[i]; len(s.conn.pending) > 0 {
			if err := s.conn.flush(); err != nil {
				return fmt.Errorf("stream of client %d: %w", i, err)
			}
		}
	}
	ready, err := l.poller.Wait(0)
	if err != nil {
		return err
	}
	for _, i := range ready {
		if err := l.streams[i].receive(i, l.buf, f); err != nil {
			return fmt.Errorf("stream of client %d: %w", i, err)
		}
	}
	return nil
}

// receive reads all there is, through buf.
func (s *stream) receive(client int, buf []byte, f MessageHandler) error {
	have := copy(buf, s.partial)
	defer func() { s.partial = append(s.partial[:0], buf[:have]...) }()
	for {
		n, err := s.read(buf[have:])
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		rest, err := splitMessages(buf[:have+n], client, f)
		if err != nil {
			return err
		}
		have = copy(buf, rest)
	}
}

func (s *stream) read(b []byte) (int, error) {
	if s.tls != nil {
		return s.tls.Read(b)
	}
	return s.conn.Read(b)
}

// cut hands over the whole messages at the front of b, and returns what follows them.
func splitMessages(b []byte, client int, f MessageHandler) (rest []byte, err error) {
	at := time.Now().UnixNano()
	for len(b) >= wire.MinFrame {
		size, padded, err := wire.FrameSize(b, maxFrame)
		if err != nil {
			return nil, err
		}
		if len(b) < padded {
			break
		}
		f(client, b[:size], at)
		b = b[padded:]
	}
	return b, nil
}

func (l *streamClients) Wait(d time.Duration) error {
	_, err := l.poller.Wait(d)
	return err
}

func (l *streamClients) Reconnect(client int) error {
	s := l.streams[client]
	if err := errors.Join(l.poller.RemoveSocket(s.conn.fd), s.close()); err != nil {
		return err
	}
	return l.connect(client)
}

// close says goodbye over TLS, and closes the connection.
func (s *stream) close() error {
	if s.tls != nil {
		_ = s.tls.CloseWrite()
		_ = s.conn.flush()
	}
	err := s.conn.Close()
	s.conn, s.tls, s.partial = nil, nil, nil
	return err
}

func (l *streamClients) SendFailures() (uint64, error) { return l.failedFlushes, l.err }

func (l *streamClients) Close() error {
	errs := []error{l.poller.Close()}
	for _, s := range l.streams {
		if s != nil && s.conn != nil {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

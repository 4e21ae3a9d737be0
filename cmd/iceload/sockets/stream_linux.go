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
	// maxPending is how many bytes may wait for one stream before messages of its client are
	// dropped.
	maxPending = 256 << 10
	maxFrame   = 1 << 16
	// bufferSize has space for an incomplete frame and the next read.
	bufferSize = 4 * maxFrame
)

// streamClients are clients over TCP or TLS.
type streamClients struct {
	o             ClientsOptions
	poller        *batch.Poller
	streams       []*stream
	dirty         []*stream // streams that have messages to flush
	buf           []byte
	failedFlushes uint64 // number of flushes that failed
	err           error
}

// stream is one client's connection.
type stream struct {
	conn        *nonblockingConn
	tls         *tls.Conn // nil over plain TCP
	queue       []byte    // messages since the last flush
	sizes       []int     // their lengths, padding included
	partial     []byte    // received bytes of an incomplete frame
	nextAddress int       // index in clientAddrs of the client's next connection
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

// connect opens the connection of a client.
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
	err := s.tls.HandshakeContext(context.Background()) // while blocking, each read of conn has a time limit
	s.conn.blocking = false
	return err
}

// QueueMessage implements Clients. It pads the message to a multiple of 4 bytes, as TURN requires
// over a stream.
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

// flush sends the queued messages. Over TLS, each message gets a record of its own.
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

// receive reads until nothing is left, using buf.
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

// splitMessages calls f for each complete message at the start of b and returns the rest.
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

// close sends a TLS close_notify alert, if the stream uses TLS, and closes the connection.
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

package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

// maxInbox is how many received messages may wait on all DTLS connections together. Further
// messages are dropped.
const maxInbox = 1 << 16

// writeTimeout limits the time that one Flush may spend writing.
const writeTimeout = time.Second

// dtlsClients are clients over DTLS. Each of Pion's connections has goroutines of its own, and one
// of ours reads from it, so DTLS costs the generator more than any other transport.
type dtlsClients struct {
	o            ClientsOptions
	clients      []dtlsClient
	queue        []byte // messages since the last flush
	queuedSizes  []queuedMessage
	failedWrites uint64
	err          error
	inboxReady   chan struct{} // holds a value after something was put into inbox
	spareInbox   []receivedMessage
	readers      sync.WaitGroup

	mu    sync.Mutex
	inbox []receivedMessage
}

type dtlsClient struct {
	socket      *net.UDPConn
	conn        *dtls.Conn
	nextAddress int // index in clientAddrs of its next connection
}

type queuedMessage struct{ client, size int }

type receivedMessage struct {
	client  int
	conn    *dtls.Conn
	message []byte
	at      int64
}

func openDTLSClients(o ClientsOptions) (Clients, error) {
	l := &dtlsClients{o: o, clients: make([]dtlsClient, o.Clients), inboxReady: make(chan struct{}, 1)}
	for i := range l.clients {
		l.clients[i].nextAddress = o.First + i
		if err := l.connect(i); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// connect opens the connection of a client and starts the goroutine that reads from it.
func (l *dtlsClients) connect(client int) error {
	c := &l.clients[client]
	source := unspecified(l.o.Server.Addr())
	if isLoopback4(l.o.Server.Addr()) {
		source = clientAddrs.addr(c.nextAddress % clientAddrs.size())
		c.nextAddress += l.o.Clients
	}
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)))
	if err != nil {
		return err
	}
	conn, err := l.handshake(socket)
	if err != nil {
		return errors.Join(fmt.Errorf("DTLS handshake with %v: %w", l.o.Server, err), socket.Close())
	}
	c.socket, c.conn = socket, conn
	l.readers.Go(func() { l.readMessages(client, conn) })
	return nil
}

func (l *dtlsClients) handshake(socket *net.UDPConn) (*dtls.Conn, error) {
	conn, err := dtls.ClientWithOptions(socket, net.UDPAddrFromAddrPort(l.o.Server),
		dtls.WithInsecureSkipVerify(l.o.TLS.InsecureSkipVerify), dtls.WithServerName(l.o.TLS.ServerName))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// readMessages appends each received message to the inbox until the connection is closed.
func (l *dtlsClients) readMessages(client int, conn *dtls.Conn) {
	buf := make([]byte, maxFrame)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		l.mu.Lock()
		if len(l.inbox) < maxInbox {
			l.inbox = append(l.inbox, receivedMessage{client, conn, append([]byte(nil), buf[:n]...), time.Now().UnixNano()})
		}
		l.mu.Unlock()
		select {
		case l.inboxReady <- struct{}{}:
		default:
		}
	}
}

func (l *dtlsClients) QueueMessage(client, size int) []byte {
	at := len(l.queue)
	l.queue = append(l.queue, make([]byte, size)...)
	l.queuedSizes = append(l.queuedSizes, queuedMessage{client, size})
	return l.queue[at : at+size : at+size]
}

func (l *dtlsClients) Flush() {
	queue, deadline := l.queue, time.Now().Add(writeTimeout)
	for _, q := range l.queuedSizes {
		c := &l.clients[q.client]
		err := c.socket.SetWriteDeadline(deadline)
		if err == nil {
			_, err = c.conn.Write(queue[:q.size])
		}
		if err != nil {
			l.failedWrites++
			if l.err == nil {
				l.err = err
			}
		}
		queue = queue[q.size:]
	}
	l.queue, l.queuedSizes = l.queue[:0], l.queuedSizes[:0]
}

func (l *dtlsClients) Receive(f MessageHandler) error {
	l.mu.Lock()
	all := l.inbox
	l.inbox = l.spareInbox[:0]
	l.mu.Unlock()
	for i, a := range all {
		if l.clients[a.client].conn == a.conn { // not a connection that Reconnect has replaced
			f(a.client, a.message, a.at)
		}
		all[i] = receivedMessage{}
	}
	l.spareInbox = all
	return nil
}

func (l *dtlsClients) Wait(d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.inboxReady:
	case <-timer.C:
	}
	return nil
}

func (l *dtlsClients) Reconnect(client int) error {
	if err := l.clients[client].close(); err != nil {
		return err
	}
	return l.connect(client)
}

func (c *dtlsClient) close() error {
	if c.conn == nil {
		return nil
	}
	err := errors.Join(c.conn.Close(), ignoreClosed(c.socket.Close()))
	c.conn = nil
	return err
}

// ignoreClosed drops the error of closing a socket that was already closed with its connection.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (l *dtlsClients) SendFailures() (uint64, error) { return l.failedWrites, l.err }

// Close closes all connections and waits for the goroutines that read from them.
func (l *dtlsClients) Close() error {
	var errs []error
	for i := range l.clients {
		errs = append(errs, l.clients[i].close())
	}
	l.readers.Wait()
	return errors.Join(errs...)
}

package sockets

import (
	"errors"
	"net/netip"
	"time"

	"icebox/cmd/iceload/batch"
)

// sharedSockets is how many sockets the clients share.
const sharedSockets = 1

// udpClients are clients over UDP.
type udpClients struct {
	o              ClientsOptions
	shared         bool
	sockets        []*batch.Socket // the shared ones, or one per client
	poller         *batch.Poller
	sender         datagramSender
	reader         *batch.Reader
	dests          []*batch.Dest
	addressIndexes []int // each client's number in clientAddrs
}

func openUDPClients(o ClientsOptions) (Clients, error) {
	u := &udpClients{
		o:              o,
		shared:         isLoopback4(o.Server.Addr()) && !o.OwnSockets,
		poller:         batch.NewPoller(),
		sender:         newSender(arenaPerDatagram(o.MessageSize, o.Segment > 0)),
		reader:         batch.NewReader(batchSize, o.MessageSize+64, o.Coalesce),
		dests:          make([]*batch.Dest, o.Clients),
		addressIndexes: make([]int, o.Clients),
	}
	if err := u.open(); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

func (u *udpClients) open() error {
	n := u.o.Clients
	if u.shared {
		n = sharedSockets
	}
	for i := range u.dests {
		u.setAddress(i, u.o.First+i)
	}
	u.sockets = make([]*batch.Socket, n)
	for i := range u.sockets {
		if err := u.openSocket(i); err != nil {
			return err
		}
	}
	return nil
}

// setAddress gives client the address with the given index in clientAddrs. If a client has its own socket, that socket
// has both addresses, so the client's Dest has none.
func (u *udpClients) setAddress(client, place int) {
	u.addressIndexes[client] = place
	if u.shared {
		u.dests[client] = batch.NewDest(u.o.Server, clientAddrs.addr(place), u.o.Segment)
	} else {
		u.dests[client] = batch.NewDest(netip.AddrPort{}, netip.Addr{}, u.o.Segment)
	}
}

// openSocket opens socket i.
func (u *udpClients) openSocket(i int) error {
	o := batch.Options{
		Local:    netip.AddrPortFrom(unspecified(u.o.Server.Addr()), 0),
		Coalesce: u.o.Coalesce,
		Buffer:   sharedBuffer,
		Shared:   u.shared,
	}
	if !u.shared {
		o.Remote, o.Buffer = u.o.Server, singleBuffer
		if isLoopback4(u.o.Server.Addr()) {
			o.Local = netip.AddrPortFrom(clientAddrs.addr(u.addressIndexes[i]), 0)
		}
	}
	s, err := batch.Open(o)
	if err != nil {
		return err
	}
	u.sockets[i] = s
	return u.poller.AddSocket(s.FD(), i)
}

func (u *udpClients) socketOf(client int) *batch.Socket {
	if u.shared {
		return u.sockets[client%len(u.sockets)]
	}
	return u.sockets[client]
}

func (u *udpClients) QueueMessage(client, size int) []byte {
	return u.sender.queueDatagram(u.socketOf(client), u.dests[client], size)
}

func (u *udpClients) Flush() { u.sender.flush() }

func (u *udpClients) Receive(f MessageHandler) error {
	ready, err := u.poller.Wait(0)
	if err != nil {
		return err
	}
	for _, i := range ready {
		err := u.reader.Read(u.sockets[i], func(d *batch.Datagram) {
			if client, ok := u.recipient(i, d); ok && !d.Truncated {
				f(client, d.Data, d.At)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// recipient returns the client that a datagram is for. ok is false if it is for none of them, or
// not from the server.
func (u *udpClients) recipient(socket int, d *batch.Datagram) (client int, ok bool) {
	if !u.shared {
		return socket, true
	}
	if d.From != u.o.Server {
		return 0, false
	}
	place, ok := clientAddrs.index(d.To)
	if !ok {
		return 0, false
	}
	client = (place - u.o.First) % u.o.Clients
	return client, client >= 0 && u.addressIndexes[client] == place
}

func (u *udpClients) Wait(d time.Duration) error {
	_, err := u.poller.Wait(d)
	return err
}

// Reconnect implements Clients. A client's address index grows by the number of clients, so that
// its remainder still identifies the client.
func (u *udpClients) Reconnect(client int) error {
	step := u.addressIndexes[client] + u.o.Clients
	if step >= clientAddrs.size() {
		step = u.o.First + client
	}
	u.setAddress(client, step)
	if u.shared {
		return nil
	}
	old := u.sockets[client]
	if err := errors.Join(u.poller.RemoveSocket(old.FD()), old.Close()); err != nil {
		return err
	}
	u.sockets[client] = nil
	return u.openSocket(client)
}

func (u *udpClients) SendFailures() (uint64, error) { return u.sender.writer.Lost, u.sender.writer.Err }

func (u *udpClients) Close() error {
	errs := []error{u.poller.Close()}
	for _, s := range u.sockets {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

package link

import (
	"errors"
	"net/netip"
	"time"

	"icebox/cmd/iceload/batch"
)

// sharedSockets is how many sockets share the clients of one link.
const sharedSockets = 1

// udpLink is the UDP clients of a server.
type udpLink struct {
	o       Options
	shared  bool
	sockets []*batch.Socket // of all, or one for each client
	poller  *batch.Poller
	sender  sender
	reader  *batch.Reader
	dests   []*batch.Dest
	places  []int // of each client in the layout of addresses
}

func openUDP(o Options) (Link, error) {
	u := &udpLink{
		o:      o,
		shared: isLoopback4(o.Server.Addr()) && !o.OwnSockets,
		poller: batch.NewPoller(),
		sender: newSender(room(o.MessageSize, o.Segment > 0)),
		reader: batch.NewReader(batchSize, o.MessageSize+64, o.Coalesce),
		dests:  make([]*batch.Dest, o.Clients),
		places: make([]int, o.Clients),
	}
	if err := u.open(); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

func (u *udpLink) open() error {
	n := u.o.Clients
	if u.shared {
		n = sharedSockets
	}
	for i := range u.dests {
		u.place(i, u.o.First+i)
	}
	u.sockets = make([]*batch.Socket, n)
	for i := range u.sockets {
		if err := u.openSocket(i); err != nil {
			return err
		}
	}
	return nil
}

// place gives a client an address, which counts on the loopback.
func (u *udpLink) place(client, place int) {
	u.places[client] = place
	if u.shared {
		u.dests[client] = batch.NewDest(u.o.Server, clientLayout.at(place), u.o.Segment)
	} else {
		u.dests[client] = batch.NewDest(netip.AddrPort{}, netip.Addr{}, u.o.Segment)
	}
}

// openSocket opens socket i.
func (u *udpLink) openSocket(i int) error {
	o := batch.Options{
		Local:    netip.AddrPortFrom(unspecified(u.o.Server.Addr()), 0),
		Coalesce: u.o.Coalesce,
		Buffer:   sharedBuffer,
		Shared:   u.shared,
	}
	if !u.shared {
		o.Remote, o.Buffer = u.o.Server, ownBuffer
		if isLoopback4(u.o.Server.Addr()) {
			o.Local = netip.AddrPortFrom(clientLayout.at(u.places[i]), 0)
		}
	}
	s, err := batch.Open(o)
	if err != nil {
		return err
	}
	u.sockets[i] = s
	return u.poller.Add(s.FD(), i)
}

func (u *udpLink) socket(client int) *batch.Socket {
	if u.shared {
		return u.sockets[client%len(u.sockets)]
	}
	return u.sockets[client]
}

func (u *udpLink) Message(client, size int) []byte {
	return u.sender.message(u.socket(client), u.dests[client], size)
}

func (u *udpLink) Flush() { u.sender.flush() }

func (u *udpLink) Receive(f Handler) error {
	ready, err := u.poller.Wait(0)
	if err != nil {
		return err
	}
	for _, i := range ready {
		err := u.reader.Read(u.sockets[i], func(d *batch.Datagram) {
			if client, ok := u.client(i, d); ok && !d.Truncated {
				f(client, d.Data, d.At)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// client is whom a datagram is for; ok is false if it is for none, or from a stranger.
func (u *udpLink) client(socket int, d *batch.Datagram) (client int, ok bool) {
	if !u.shared {
		return socket, true
	}
	if d.From != u.o.Server {
		return 0, false
	}
	place, ok := clientLayout.index(d.To)
	if !ok {
		return 0, false
	}
	client = (place - u.o.First) % u.o.Clients
	return client, client >= 0 && u.places[client] == place
}

func (u *udpLink) Wait(d time.Duration) error {
	_, err := u.poller.Wait(d)
	return err
}

// Renew implements Link. Clients step forward by the number of clients, so that the
// client of an address is known by its remainder.
func (u *udpLink) Renew(client int) error {
	step := u.places[client] + u.o.Clients
	if step >= clientLayout.size() {
		step = u.o.First + client
	}
	u.place(client, step)
	if u.shared {
		return nil
	}
	old := u.sockets[client]
	if err := errors.Join(u.poller.Remove(old.FD()), old.Close()); err != nil {
		return err
	}
	u.sockets[client] = nil
	return u.openSocket(client)
}

func (u *udpLink) Lost() (uint64, error) { return u.sender.w.Lost, u.sender.w.Err }

func (u *udpLink) Close() error {
	errs := []error{u.poller.Close()}
	for _, s := range u.sockets {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

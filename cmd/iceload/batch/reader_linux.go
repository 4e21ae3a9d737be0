package batch

import (
	"encoding/binary"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// coalescedSize is the buffer size for messages in which the kernel has joined several datagrams
// (UDP_GRO).
const coalescedSize = 1 << 16

// Datagram is one received datagram. Data is valid until the callback returns.
type Datagram struct {
	Data []byte
	From netip.AddrPort
	To   netip.Addr // set only on shared sockets
	At   int64      // arrival time in ns since 1970
	// Truncated reports whether the datagram was longer than the buffer, so that Data lacks its
	// end.
	Truncated bool
}

// messageMeta is where recvmmsg writes the sender's address and the control messages of one
// message.
type messageMeta struct {
	control [controlSize]byte
	name    [unix.SizeofSockaddrInet6]byte
}

// Reader receives datagrams from sockets.
type Reader struct {
	hdrs     []mmsghdr
	iovs     []unix.Iovec
	metas    []messageMeta
	bufs     [][]byte
	datagram Datagram
}

// NewReader returns a Reader that receives up to messages datagrams of up to size bytes per system
// call. coalesced must be true for sockets opened with [Options].Coalesce.
func NewReader(messages, size int, coalesced bool) *Reader {
	if coalesced {
		size = coalescedSize
	}
	r := &Reader{
		hdrs:  make([]mmsghdr, messages),
		iovs:  make([]unix.Iovec, messages),
		metas: make([]messageMeta, messages),
		bufs:  make([][]byte, messages),
	}
	for i := range r.hdrs {
		r.bufs[i] = make([]byte, size)
		r.iovs[i].Base = &r.bufs[i][0]
		r.iovs[i].SetLen(size)
		h := &r.hdrs[i].hdr
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Name = &r.metas[i].name[0]
		h.Control = &r.metas[i].control[0]
	}
	return r
}

// Read calls f for every datagram that has arrived at s. It does not block.
func (r *Reader) Read(s *Socket, f func(*Datagram)) error {
	refused := 0
	for {
		n, errno := r.receive(s)
		switch errno {
		case 0:
		case unix.EAGAIN:
			return nil
		case unix.EINTR:
			continue
		case unix.ECONNREFUSED: // an ICMP error for a datagram sent earlier
			if refused++; refused > len(r.hdrs) {
				return os.NewSyscallError("recvmmsg", errno)
			}
			continue
		default:
			return os.NewSyscallError("recvmmsg", errno)
		}
		for i := range n {
			r.deliver(i, f)
		}
		if n < len(r.hdrs) {
			return nil
		}
	}
}

func (r *Reader) receive(s *Socket) (int, unix.Errno) {
	for i := range r.hdrs {
		h := &r.hdrs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(&r.hdrs[0])), uintptr(len(r.hdrs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// deliver calls f for each datagram in message i, which the kernel may have joined from several.
func (r *Reader) deliver(i int, f func(*Datagram)) {
	h := &r.hdrs[i].hdr
	d := &r.datagram
	*d = Datagram{
		From:      getSockaddr(&r.metas[i].name),
		Truncated: h.Flags&unix.MSG_TRUNC != 0,
	}
	segment := d.readControl(r.metas[i].control[:h.Controllen])
	if d.At == 0 {
		d.At = time.Now().UnixNano()
	}
	data := r.bufs[i][:r.hdrs[i].len]
	for segment > 0 && len(data) > segment {
		d.Data = data[:segment]
		f(d)
		data = data[segment:]
	}
	d.Data = data
	f(d)
}

// readControl decodes the control messages b that came with a message. segment is the size of the
// datagrams that the kernel joined, or 0 if it joined none.
func (d *Datagram) readControl(b []byte) (segment int) {
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		size := int(h.Len)
		if size < unix.CmsgLen(0) || size > len(b) {
			return segment
		}
		data := b[unix.CmsgLen(0):size]
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
			d.At = (*unix.Timespec)(unsafe.Pointer(&data[0])).Nano()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= pktinfoSize:
			d.To = netip.AddrFrom4([4]byte(data[8:12])) // ipi_addr
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			segment = int(binary.NativeEndian.Uint32(data))
		}
		b = b[min(len(b), unix.CmsgSpace(len(data))):]
	}
	return segment
}

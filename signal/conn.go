package signal

import "time"

// Conn is a connection to a client over any transport. The hub never calls Write, Ping and Close at the same time; it may
// call Abort at any time.
type Conn interface {
	// Write sends one message before the deadline. It does not retain frame.
	Write(frame []byte, deadline time.Time) error
	// Ping asks the client for a sign of life before the deadline.
	Ping(deadline time.Time) error
	// Close tells the client the reason. Reading then ends soon, even if the client does not respond. Close may block for 1
	// s.
	Close(Reason)
	// Abort cuts the connection without telling the client. It does not block.
	Abort()
}

// NonblockingConn is a Conn that can write without blocking.
type NonblockingConn interface {
	Conn
	// TryWrite writes a message if that is possible without blocking. If it returns false, part of the message may have been
	// written, so the caller must pass the same message to Write before it writes anything else.
	TryWrite(frame []byte) (done bool, err error)
	// TryPing is TryWrite for a ping. If it returns false, the caller must call Ping next.
	TryPing() (done bool, err error)
}

// Resumable is a Conn that outlives its transports.
type Resumable interface {
	Conn
	// Bind tells the connection which client it belongs to. The hub calls it first.
	Bind(*Client)
	// DropTransport gives up the current transport, because it showed no sign of life in time. It reports whether the
	// connection stays open and waits for another transport. It does not block.
	DropTransport() bool
}

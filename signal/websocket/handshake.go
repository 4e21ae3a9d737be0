package websocket

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"

	gorilla "github.com/gorilla/websocket"
)

var (
	get     = []byte("GET ")
	headEnd = []byte("\r\n\r\n")
	hostKey = []byte("\r\nhost:")
)

// handshake returns the request for a WebSocket that the bytes are, if they are one as a whole, nothing more, and nothing
// about it is strange: then it is for package http to say what.
func handshake(head []byte, from net.Addr) (r *http.Request, ok bool) {
	if !bytes.HasPrefix(head, get) || bytes.Index(head, headEnd) != len(head)-len(headEnd) {
		return nil, false
	}
	for _, c := range head {
		if c < ' ' && c != '\r' && c != '\n' || c >= 0x7F {
			return nil, false
		}
	}
	if bytes.Count(bytes.ToLower(head), hostKey) != 1 {
		return nil, false
	}
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	if err != nil || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Header["Expect"] != nil ||
		!gorilla.IsWebSocketUpgrade(r) {
		return nil, false
	}
	r.RemoteAddr = from.String()
	return r, true
}

// answer is how a handshake is answered: by taking the connection over, or with an error.
type answer struct {
	conn   net.Conn
	header http.Header
	status int
	body   bytes.Buffer
	taken  bool
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// Hijack implements http.Hijacker. Nothing is buffered: the request was all there was.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if a.taken {
		return nil, nil, http.ErrHijacked
	}
	a.taken = true
	return a.conn, bufio.NewReadWriter(bufio.NewReaderSize(a.conn, 16), bufio.NewWriterSize(a.conn, 16)), nil
}

// send writes the answer, if there is one, after which the connection is closed.
func (a *answer) send() {
	if a.taken {
		return
	}
	a.WriteHeader(http.StatusOK)
	r := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: a.header, Close: true,
		ContentLength: int64(a.body.Len()), Body: io.NopCloser(&a.body),
	}
	var b bytes.Buffer
	if r.Write(&b) == nil {
		_, _ = a.conn.Write(b.Bytes())
	}
}

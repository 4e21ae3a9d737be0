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

// parseHandshake parses head, the first bytes of a connection from a client at from. It reports false unless head is
// exactly one complete WebSocket upgrade request without anything unusual. Package net/http serves all other connections,
// so that it alone decides how to respond to unusual requests.
func parseHandshake(head []byte, from net.Addr) (r *http.Request, ok bool) {
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

// handshakeResponse is the [http.ResponseWriter] of a handshake that the poller serves. The handler either hijacks the
// connection to upgrade it, or writes an HTTP error.
type handshakeResponse struct {
	conn     net.Conn
	header   http.Header
	status   int
	body     bytes.Buffer
	hijacked bool
}

// Header implements [http.ResponseWriter].
func (h *handshakeResponse) Header() http.Header { return h.header }

// WriteHeader implements [http.ResponseWriter].
func (h *handshakeResponse) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

// Write implements [http.ResponseWriter].
func (h *handshakeResponse) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// Hijack implements [http.Hijacker]. The returned reader is empty, because nothing followed the request.
func (h *handshakeResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if h.hijacked {
		return nil, nil, http.ErrHijacked
	}
	h.hijacked = true
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, 16), bufio.NewWriterSize(h.conn, 16)), nil
}

// writeResponse writes the response, unless the handler has hijacked the connection. The response announces that the server
// closes the connection, and the caller does so.
func (h *handshakeResponse) writeResponse() {
	if h.hijacked {
		return
	}
	h.WriteHeader(http.StatusOK)
	r := http.Response{
		StatusCode: h.status, ProtoMajor: 1, ProtoMinor: 1, Header: h.header, Close: true,
		ContentLength: int64(h.body.Len()), Body: io.NopCloser(&h.body),
	}
	var b bytes.Buffer
	if r.Write(&b) == nil {
		_, _ = h.conn.Write(b.Bytes())
	}
}

package dtlsgate

import (
	"reflect"
	"unsafe" // for SetCookie alone

	"github.com/pion/dtls/v3"
)

// SetCookie makes conn expect the given cookie from its client.
//
// Pion draws a cookie for each handshake, keeps it in a private field and has no option for it. It can therefore check a
// client's address only after it has made a connection. The cookie cannot be exchanged on the way either, because both
// sides sign it. So SetCookie writes the private field.
//
// It must be called by the goroutine in which Pion writes its HelloVerifyRequest, before Pion reads the cookie again; see
// [PacketConn]. A pinned version of Pion and a test guard that the field exists.
func SetCookie(conn *dtls.Conn, cookie []byte) {
	field := reflect.ValueOf(conn).Elem().FieldByName("state").FieldByName("cookie")
	*(*[]byte)(unsafe.Pointer(field.UnsafeAddr())) = cookie
}

package turnserver

import (
	"reflect"
	"unsafe" // for setCookie alone

	"github.com/pion/dtls/v3"
)

// setCookie makes conn expect a cookie of ours. Pion draws the cookie of each handshake
// itself, keeps it in a private field and has no option for it, so that a server built on it has
// to keep a connection for every forged ClientHello; the cookie is part of what both sides sign, so
// it can't be exchanged on the way either. It is called by Pion's own goroutine, as it sends its
// HelloVerifyRequest and before it looks at the cookie again. A test and a fixed version of Pion
// hold that the field is there.
func setCookie(conn *dtls.Conn, cookie []byte) {
	field := reflect.ValueOf(conn).Elem().FieldByName("state").FieldByName("cookie")
	*(*[]byte)(unsafe.Pointer(field.UnsafeAddr())) = cookie
}

package socket

import (
	"github.com/gorilla/websocket"

	"icebox/signal"
)

const closeProtocolError = websocket.CloseProtocolError

// closing returns the close code (RFC 6455 section 7.4 and its registry) and the text for a reason.
func closing(why signal.Reason) (code int, text string) {
	switch why {
	case signal.Restarting:
		return websocket.CloseServiceRestart, "server restarts, connect again"
	case signal.TooLarge:
		return websocket.CloseMessageTooBig, "message too large"
	case signal.BadText:
		return websocket.CloseInvalidFramePayloadData, "text is not UTF-8"
	case signal.SlowReader, signal.WriteFailed:
		return websocket.ClosePolicyViolation, "reads too slowly"
	case signal.Superseded:
		return websocket.ClosePolicyViolation, "name taken over by a newer connection"
	case signal.PongTimeout:
		return websocket.ClosePolicyViolation, "no answer to a ping"
	case signal.Expired:
		return websocket.ClosePolicyViolation, "token has expired"
	case signal.Stalled:
		return websocket.ClosePolicyViolation, "message not completed in time"
	case signal.Unsaid:
		return websocket.ClosePolicyViolation, "no sign-in in time"
	case signal.Refused:
		return websocket.ClosePolicyViolation, "refused"
	case signal.Broken:
		return websocket.CloseInternalServerErr, "internal error"
	default:
		return websocket.CloseNormalClosure, ""
	}
}

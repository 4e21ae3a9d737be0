package websocket

import (
	gorilla "github.com/gorilla/websocket"

	"icebox/signal"
)

const closeProtocolError = gorilla.CloseProtocolError

// closeCode returns the code and the text of the close frame for a reason; see [signal.Reason] for the table. The codes are
// those of RFC 6455 section 7.4.1 and of the IANA registry that section 11.7 creates.
func closeCode(why signal.Reason) (code int, text string) {
	switch why {
	case signal.Restarting:
		return gorilla.CloseServiceRestart, "server restarts, connect again"
	case signal.TooLarge:
		return gorilla.CloseMessageTooBig, "message too large"
	case signal.BadText:
		return gorilla.CloseInvalidFramePayloadData, "text is not UTF-8"
	case signal.SlowReader, signal.WriteFailed:
		return gorilla.ClosePolicyViolation, "reads too slowly"
	case signal.Superseded:
		return gorilla.ClosePolicyViolation, "name taken over by a newer connection"
	case signal.PongTimeout:
		return gorilla.ClosePolicyViolation, "no answer to a ping"
	case signal.Expired:
		return gorilla.ClosePolicyViolation, "token has expired"
	case signal.Stalled:
		return gorilla.ClosePolicyViolation, "message not completed in time"
	case signal.SignInTimeout:
		return gorilla.ClosePolicyViolation, "no sign-in in time"
	case signal.Refused:
		return gorilla.ClosePolicyViolation, "refused"
	case signal.InternalError:
		return gorilla.CloseInternalServerErr, "internal error"
	default:
		return gorilla.CloseNormalClosure, ""
	}
}

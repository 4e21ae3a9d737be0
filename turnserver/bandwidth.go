package turnserver

import "icebox/turnserver/limit"

// pipe limits the bandwidth of something in each direction.
type pipe struct {
	toPeer, fromPeer limit.Bucket
}

// mayPass takes size bytes out of the buckets of the session, its user, its addresses and the
// server, in the direction that pick chooses.
func (s *Server) mayPass(sess *session, now int64, size int, pick func(*pipe) *limit.Bucket) bool {
	l := s.limits.Load()
	if !l.anyBandwidth {
		return true
	}
	if pick(&sess.pipe).TakeBytes(now, size, l.BandwidthPerAllocation) &&
		sess.slot.pass(now, size, pick, l) &&
		pick(&s.pipe).TakeBytes(now, size, l.Bandwidth) {
		return true
	}
	s.drop(DropBandwidth)
	return false
}

func toPeer(p *pipe) *limit.Bucket   { return &p.toPeer }
func fromPeer(p *pipe) *limit.Bucket { return &p.fromPeer }
